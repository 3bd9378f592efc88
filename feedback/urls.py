from django.urls import path

from feedback.api import FeedbackListView, GiveFeedbackView

urlpatterns = [
    path("feedback", FeedbackListView.as_view(), name="feedback-list"),
    path("generations/<uuid:generation_id>/feedback", GiveFeedbackView.as_view(), name="generation-feedback"),
]
