"""The errors of the REST API: HTTP status, code and message."""


class ApiError(Exception):
    """Answered as {"code": code, "msg": message} with an HTTP status."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def missing(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def illegal(name: str, legal: str) -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def not_valid(name: str) -> ApiError:
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def not_required(name: str) -> ApiError:
    return ApiError(-1106, f"Parameter '{name.lower()}' sent when not required.")


def unknown_to_cancel() -> ApiError:
    return ApiError(-2011, "Unknown order sent.")


def unknown_to_query() -> ApiError:
    return ApiError(-2013, "Order does not exist.")


def bad_symbol() -> ApiError:
    return ApiError(-1121, "Invalid symbol.")


def reduce_only_rejected() -> ApiError:
    return ApiError(-2022, "ReduceOnly Order is rejected.")


def too_precise() -> ApiError:
    return ApiError(-1111, "Precision is over the maximum defined for this asset.")
