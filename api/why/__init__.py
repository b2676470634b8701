"""Why a message was or was not sent: evidence, reasons, sentences, timeline, page."""
