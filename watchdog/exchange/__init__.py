"""Orders and positions on the exchange: read, settled after the bot was stopped, and told. Binance USD-M and spot.

access    the account: one client for as long as it is needed, bans remembered, python-binance imported on demand
client    python-binance with every API at `base_url`, and answers that are read strictly
line      one call at a time, within a budget of time
market    what USD-M (usdm) and spot (spot) have in common
known     an open order, a holding, and what an order means for a holding; unknown is a value of its own
sheet     what is known and was done of one symbol, as it is kept in the incident's facts
settle    rounds of looking and acting until the account is as configured and was read back
words     the sheets in words, for alerts, the report and the terminal
"""
