"""What the host raises."""


class ValidationError(Exception):
    pass


def display(error, task):
    print(task, error)
