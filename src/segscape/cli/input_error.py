"""Bad input that shows before the nouns are imported, and torch with them, which takes seconds."""


class InputError(Exception):
    """An error whose message is one line with the cure; the command line prints just that."""
