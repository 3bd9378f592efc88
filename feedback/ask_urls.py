from django.urls import path

from feedback.ask import AskFeedbackView

urlpatterns = [
    path(
        "<slug:team_id>/<slug:name>/generations/<uuid:generation_id>/feedback",
        AskFeedbackView.as_view(),
        name="ask-feedback",
    ),
]
