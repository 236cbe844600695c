"""What goes wrong while telling people: one root, `NotifyError`."""


class NotifyError(Exception):
    """Root of this package's errors; the text names what failed and what to do about it."""


class TransportError(NotifyError):
    """A channel did not take a message. What kind of failure it is decides what the courier does next.

    The text is built from types, status numbers and our own words alone: the exceptions of HTTP libraries
    carry the URL, and the URL carries the bot's token.

    permanent: this message can never be delivered; skip it.
    misconfigured: no message can be delivered until a person mends something; keep all, retry slowly.
    retry_after_s: the other side said how long to wait, in seconds.
    sent_maybe: the message may have arrived although the answer did not.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        misconfigured: bool = False,
        retry_after_s: float | None = None,
        sent_maybe: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.misconfigured = misconfigured
        self.retry_after_s = retry_after_s
        self.sent_maybe = sent_maybe


class MessageRejected(TransportError):
    """The other side read the message and refuses this text; another wording may pass."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class ChatMoved(TransportError):
    """The group became a supergroup: it goes on under `new_chat_id`."""

    def __init__(self, new_chat_id: int) -> None:
        super().__init__(f"the chat has moved to {new_chat_id}")
        self.new_chat_id = new_chat_id
