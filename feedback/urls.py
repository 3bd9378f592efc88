from django.urls import path

from feedback.api import FeedbackView

urlpatterns = [
    path("generations/<uuid:generation_id>/feedback", FeedbackView.as_view(), name="generation-feedback"),
]
