"""`python -m config` writes the JSON schema for editors beside the models."""

from config.schema import SCHEMA_FILE, rendered

SCHEMA_FILE.write_text(rendered(), encoding="utf-8")
