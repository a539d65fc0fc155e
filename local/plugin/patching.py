"""How the plugin gets between the emulator and one of its functions."""

import functools


def around(module, name):
    """Decorator: the function takes the place of `module.name` and gets the replaced one as its first argument."""

    def place(function):
        setattr(module, name, functools.partial(function, getattr(module, name)))
        return function

    return place
