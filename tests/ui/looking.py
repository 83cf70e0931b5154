"""What a page shows, and which of its buttons is meant."""


def texts(test):
    return "\n".join(
        one.value for kind in ("markdown", "caption", "info", "error", "warning", "success") for one in test.get(kind)
    )


def button(test, key):
    return next(one for one in test.button if one.key and one.key.startswith(key))
