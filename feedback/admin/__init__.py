"""The admin's rooms for what people say about answers."""

from feedback.admin import beside, feedback

__all__ = ["beside", "feedback"]
