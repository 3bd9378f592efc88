"""The admin's rooms for what people say about answers."""

from feedback.admin import feedback

__all__ = ["feedback"]
