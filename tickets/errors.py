"""What the desk refuses, one small tree. Each `code` has a user-facing text in data/messages/errors.yml."""

from __future__ import annotations


class DeskError(Exception):
    """The desk cannot do that."""

    code = "desk_error"

    def __init__(self, **facts: object) -> None:
        super().__init__(self.__doc__)
        self.facts = facts


class NotAllowed(DeskError):
    """This person may not do that."""

    code = "not_allowed"


class NotFound(DeskError):
    """No such ticket within this person's sight."""

    code = "not_found"


class WrongStatus(DeskError):
    """The ticket's status does not allow that step."""

    code = "wrong_status"


class AlreadyTaken(DeskError):
    """Another worker has the ticket."""

    code = "already_taken"


class WrongTrade(DeskError):
    """The ticket needs another trade or a licence."""

    code = "wrong_trade"


class HandsFull(DeskError):
    """Somebody has as many jobs as they may have."""

    code = "hands_full"


class MustTake(DeskError):
    """The supervisor's order after two refusals may only be given back for safety."""

    code = "must_take"


class WhichTicket(DeskError):
    """Several tickets fit: the number is needed."""

    code = "which_ticket"


class NoTicket(DeskError):
    """Nothing open that this could be about."""

    code = "no_ticket"


class ReasonNeeded(DeskError):
    """That step needs a reason."""

    code = "reason_needed"


class SelfCheckNeeded(DeskError):
    """Finishing needs the self-check."""

    code = "self_check_needed"


class PhotoNeeded(DeskError):
    """Finishing needs a picture, or the reason why there is none."""

    code = "photo_needed"


class PublicArea(DeskError):
    """A public area is put right even if its reporter calls it off."""

    code = "public_area"


class TooLate(DeskError):
    """The time for that step has passed."""

    code = "too_late"


class UnknownPerson(DeskError):
    """No such colleague, or the name fits several."""

    code = "unknown_person"


class BadWording(DeskError):
    """Staff words that no resident should read."""

    code = "bad_wording"


class BadInput(DeskError):
    """The value given cannot be used."""

    code = "bad_input"


class TooManyClaims(DeskError):
    """This person has claimed too many homes today."""

    code = "too_many_claims"


class Accused(DeskError):
    """A complaint is not given to whom it is about."""

    code = "accused"


class CauseNeeded(DeskError):
    """A complaint closes with its cause and what is done about it."""

    code = "cause_needed"


class CallbackNeeded(DeskError):
    """A C1 closes after the manager has called the resident back."""

    code = "callback_needed"


class TooEarly(DeskError):
    """Nobody is disturbed at this hour."""

    code = "too_early"


class NoChat(DeskError):
    """There is no chat in which this person could be written to."""

    code = "no_chat"


class NoTalk(DeskError):
    """No talk with a resident that this colleague could speak in."""

    code = "no_talk"


class TalkTaken(DeskError):
    """Another colleague speaks with this resident."""

    code = "talk_taken"
