"""Why a message was sent, or why not: one sentence, the facts behind it, and a person's timeline."""
