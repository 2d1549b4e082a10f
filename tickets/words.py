"""Short word lists the desk decides by without a model (data/dict/desk.yml)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import pairwise

import yaml

from nlu.normalize import normalize
from nlu.slots import find_phone, find_salutation, read_number
from nlu.words import find_concepts, pattern
from tickets.catalog import causes
from tickets.texts import DATA, say

_EDGES = " \t\r\n，。！？；、,.!?;:："
_CLAUSE_ENDS = r"[\s，。！？；,.!?;]+"
_LISTS = (
    "due_soon",
    "open_complaints",
    "unassigned",
    "unaccepted",
    "overdue",
    "waiting",
    "on_hold",
    "low_scores",
    "urgent",
    "open_jobs",
)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    words = yaml.safe_load((DATA / "dict" / "desk.yml").read_text("utf-8"))
    return {name: re.compile("|".join(entries)) for name, entries in words.items()}


def _has(name: str, text: str) -> bool:
    return bool(_patterns()[name].search(normalize(text).text))


def _has_undenied(name: str, denied: str, text: str) -> bool:
    """Whether a list is told of anywhere without the end of what stands before saying that it is not."""
    said, before = normalize(text).text, _patterns()[denied]
    return any(not before.search(said[: found.start()]) for found in _patterns()[name].finditer(said))


def asks_person(text: str) -> bool:
    """转人工 in any wording; works in every state (domain.md §5.3)."""
    return _has("person", text)


def person_and_nothing_else(text: str) -> bool:
    """Whether a person is wanted, and not only a call before the visit (「来之前给我打个电话」)."""
    return _has("person_plainly", text) or _whole("call_me", text)


def leaves_person(text: str) -> bool:
    """不用人工了: the resident is done with the person, whatever they say behind it."""
    clauses = [one for one in re.split(_CLAUSE_ENDS, text.strip()) if one and not _whole("hesitates", one)]
    return _whole("leaves_person", text) or bool(clauses and _whole("leaves_person", clauses[0]))


def asked_while_leaving(text: str) -> str:
    """「不用人工了 你们几点下班」: the question behind it, "" if there is none."""
    clauses = [one for one in re.split(_CLAUSE_ENDS, text.strip()) if one]
    return next((one for one in reversed(clauses) if asks(one) and not _whole("leaves_person", one)), "")


def gives_up_waiting(text: str) -> bool:
    """「算了不等了」 of somebody for whom a person was called."""
    return _whole("gives_up_waiting", text)


def where_is_person(text: str) -> bool:
    """「人呢」「怎么还没人理我」 of somebody who waits for a person."""
    return _whole("where_is_person", text)


def gets_worse(text: str) -> bool:
    """「走到门口了」「烟越来越浓」: a danger grows while it lasts; 「没有人受伤」 and 「保安到门口了」 say the contrary."""
    return _has_undenied("getting_worse", "worse_denied", text)


def is_medical(text: str) -> bool:
    """Someone is hurt or cannot breathe; 「没有人不舒服」 says the contrary."""
    return _has_undenied("medical", "medical_denied", text)


def wants_it_after_all(text: str) -> str | None:
    """「还是修吧」 after a cancellation: what is said behind it, None if it does not begin so."""
    first, *rest = re.split(_CLAUSE_ENDS, text.strip(), maxsplit=1)
    if _whole("after_all", first):
        return "".join(rest)
    last = re.split(_CLAUSE_ENDS, text.strip().rstrip(_EDGES))[-1]
    # 「不行 他不开门 还是你们去说吧」: why comes first.
    return "" if _whole("after_all", text) or _whole("after_all", last) else None


def leaves_topic(text: str) -> bool:
    """Plainly about something else than the emergency under way."""
    return _has("other_topic", text)


def asks_what_to_do(text: str) -> bool:
    """「我该怎么办」 in the middle of a danger."""
    return _has("what_to_do", text)


def asks_who_comes(text: str) -> bool:
    """「师傅到哪了」「来了没有」 in the middle of a danger."""
    return _has("who_comes", text)


def worker_is_there(text: str) -> bool:
    """「师傅来了」: no news that nobody need come."""
    return _has("worker_there", text)


OVER = {
    "LOST": ("lost_found",),
    "CARE": ("answered", "came_to_phone"),
    "MED": ("in_hospital", "came_to_phone", "nobody_ill", "recovered"),
    "LIFT": ("freed",),
    "TRAPPED": ("freed",),
    "PIT": ("freed", "up_from_below", "mended_now"),
    "FIRE": ("put_out", "smothered"),
    "GAS": ("gas_clear",),
    "CO": ("gas_clear",),
    "SEC": ("settled",),
    "SELF": ("came_down",),
    "BURST": ("water_off", "mended_now"),
    "FLOOD": ("water_gone", "up_from_below", "mended_now"),
    "WATER_ELEC": ("water_gone", "mended_now"),
    "ELEC": ("put_out", "smothered", "mended_now"),
    "FALL": ("mended_now",),
}
"""What ends a danger of one kind."""


def asks_in_danger(text: str) -> bool:
    """「能不能自己扒门」「要不要关阀」: whether to do something, or whether it is dangerous."""
    return _has("asks_in_danger", text)


def is_beside(text: str) -> bool:
    """「楼上在冒烟」「我在16楼」: a danger that is not in the home of who tells of it, or that they sit in."""
    return _has("danger_beside", text)


def is_outdoors(text: str) -> bool:
    """「有人掉湖里了」「听到有人喊救命」: in sight or hearing of who tells it, and surely not in their own home."""
    return _has("outdoors", text) and not _has("own_home_too", text)


def next_door(text: str) -> str:
    """楼上, 隔壁 …: where the danger is, seen from the flat that is told; "" where it is that flat."""
    found = _patterns()["next_door"].search(normalize(text).text)
    return found.group() if found and not _has("own_home_too", text) else ""


def says_smoke(text: str) -> bool:
    """Smoke or flames, and not only a pan on the stove."""
    return _has("smoke_or_flame", text)


def says_not_yet(text: str) -> bool:
    """「没有」「还没」 and nothing else."""
    return _whole("not_yet", text)


def speaks_of_other(text: str) -> bool:
    """「不是我 是别人」."""
    return _has("of_somebody_else", text)


def calls_off(text: str) -> bool:
    """「不用来了」, and not only that it is over."""
    return _has("danger_called_off", text)


def is_in_hospital(text: str) -> bool:
    """Who was ill is with those who help: 「已经上救护车了」."""
    return _has("in_hospital", text)


def asks_if_safe_again(text: str) -> bool:
    """「我能推闸了吗」「能回去了吗」 while nobody has said that it is safe."""
    return _has("safe_again", text)


def is_over(text: str, danger: str) -> bool:
    """Who reported a danger (its kind) says that nobody is in danger any more, or never was; who was lost is found, who did not
    answer has answered."""
    if _has("danger_not_over", text):
        return False
    if any(_has(name, text) for name in ("danger_over", *OVER.get(danger, ()))):
        return True
    return any(_whole("danger_mistaken", clause) for clause in re.split(_CLAUSE_ENDS, text))


def says_none(text: str) -> bool:
    """「是电视 不好意思」「不是烟，是热气」「我是说网断了 没着火」: no danger, or not in this estate; who guesses, asks or adds a but has not
    said so."""
    if _has("none_doubted", text):
        return False
    if _has("other_estate", text) or _has("none_mistaken", text):
        return True
    denied = _has("none_denied", text)
    harmless = _has("none_harmless", text) and (denied or _has("none_sorry", text))
    return harmless or (denied and _has("none_meant", text))


def of_other_estate(text: str) -> bool:
    """「不是你们小区」「打错地方了」."""
    return _has("other_estate", text) and not _has("none_doubted", text)


def has_come_out(text: str) -> bool:
    """「我抱孙子出来了」: who tells it is outside; others may still be in there."""
    return _has("came_out", text)


def somebody_inside(text: str) -> bool:
    """「我老公还在上面睡觉」 of a home that has to be left."""
    return _has("somebody_inside", text) and not _has("nobody_inside", text)


def wants_fence(text: str) -> bool:
    """「你们先拿东西围一下」."""
    return _has("wants_fence", text)


def puts_right(text: str) -> bool:
    """「6栋的 刚打错了」: what was told before is wrong."""
    return _has("wrong_mark", text)


def at_gate(text: str) -> str:
    """「大门右边」 as the gate that it is beside."""
    return _patterns()["gate_side"].sub(lambda found: say("words.at_gate", gate=found["gate"]), text)


def to_mend(text: str) -> str:
    """The clauses that want something broken mended: 「柜子你们修修吧」 behind what says that it is over; "" without any."""
    return _clauses_where(lambda clause: _has("mends_it", clause) and bool(things_in(clause)), text)


def has_called_help(text: str) -> bool:
    """「120打了」; 「120打了吗」 and 「120打不通」 do not say so."""
    return _has("called_help", text)


def asks_of_help(text: str) -> bool:
    """「110还用打吗」 after it is over."""
    return _has("asks_of_help", text)


def stops_help(text: str) -> bool:
    """「那你们别打119啊」."""
    return _has("stops_help", text)


def asks_of_told(text: str) -> bool:
    """「那个投诉呢 你记了没」「我报的都有哪些」「明天想借个轮椅 有吗」: while a danger is open, plainly about something else."""
    return _has("asks_of_told", text)


def asks_if_done(text: str) -> bool:
    """「灯还修不修」「到底谁来拖」 about something that was told."""
    return asks(text) or _has("asks_if_done", text)


def opens_another(text: str) -> bool:
    """Announces a matter of its own: 还有个事, 另外有个问题."""
    return _has("another_matter", text)


def says_urgent(text: str) -> bool:
    return _has("urgent", text)


def is_greeting(text: str) -> bool:
    """Nothing but a greeting, which needs no part in a longer message."""
    return bool(_patterns()["greeting"].fullmatch(_spoken(text)))


def grave_reason(text: str) -> str:
    """What in a complaint makes it C1 (domain.md §2.2): cut_off, money, injury, theft, privacy or threat; "" for nothing."""
    return next((name for name in GRAVE if _has(f"grave_{name}", text)), "")


# The first that fits counts.
GRAVE = ("cut_off", "money", "injury", "theft", "privacy", "threat")


def is_grave(text: str) -> bool:
    """Whether a complaint of these words is a C1."""
    return bool(grave_reason(text))


def bare_threat(text: str) -> bool:
    """「你们管不管 不管我打12345了」: chases what was complained of, and names nothing new."""
    return grave_reason(text) == "threat" and _whole("bare_threat", text)


def only_presses(text: str) -> bool:
    """「你们到底管不管」, also with a threat: chases what was complained of, and names nothing new."""
    return bare_threat(text) or (_whole("bare_threat", text) and _has("presses", text))


def only_scolds(text: str) -> bool:
    """「你们还管不管事了」: anger and no word of what it is about."""
    return _whole("only_scolds", text)


def scolds_handling(text: str) -> bool:
    """「说了多少回了」, 「你们就会协调」: of how a matter is dealt with."""
    return _has("scolds_handling", text)


def mocks(text: str) -> bool:
    """「效率真高 报修一个月了灯还没亮」: praise in its words only."""
    return _has("not_praise", text)


def goes_on(text: str) -> bool:
    """「昨天又闹到两点」: what was told before has not stopped."""
    return _has("goes_on", text)


def asks_when_it_comes(text: str) -> bool:
    """「几点来啊」「什么时候退我」「有消息没」, and nothing else."""
    return _whole("when_comes", text)


def failed_repair(text: str) -> bool:
    """Speaks of a repair that was done in vain or not at all."""
    return _has("failed_repair", text)


def doubts_person(text: str) -> bool:
    """「你是机器人吧」."""
    return _has("robot", text)


def hides_name(text: str) -> bool:
    """匿名, 别说是我: nobody shall know who complained (domain.md §9.3)."""
    return _has("hides_name", text) or any(_has("hides_name", clause) for clause in re.split(_CLAUSE_ENDS, text))


def asks_if_named(text: str) -> bool:
    """「会不会说是我报的」: whether others hear who complained or reported."""
    return _has("asks_if_named", text)


def threatens(text: str) -> bool:
    """「再不管我打12345」: to go to somebody outside."""
    return _has("grave_threat", text)


LEAST_POINT = 3


def points_in(text: str) -> list[str]:
    """The points of a letter that numbers them (「1. … 2. … 3. …」), without their numbers; none if it does not count from one."""
    marks: list[re.Match[str]] = []
    for mark in _patterns()["point_mark"].finditer(text):
        if read_number(mark["digit"] or mark["word"]) == len(marks) + 1:
            marks.append(mark)
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    points = [text[mark.end() : end].strip(_EDGES) for mark, end in zip(marks, ends, strict=True)] if marks else []
    return points if len(points) > 1 and all(len(one) >= LEAST_POINT for one in points) else []


def asks_cost(text: str) -> bool:
    """「上门要钱吗」, 「换一个多少钱」 of somebody who has something to be repaired; 「物业费多少钱」 is about other money."""
    return len(text) <= SHORT_QUESTION and _has("asks_cost", text) and not _has("costs_otherwise", text)


def is_courtesy(text: str) -> bool:
    """「麻烦喽」, 「辛苦师傅跑一趟」, and nothing else."""
    return _whole("courtesy", text)


def asks_how_long(text: str) -> bool:
    """「多久」, 「要几天才有结果」, and nothing else: of what was told before."""
    return _whole("asks_how_long", text)


def asks_who_has_it(text: str) -> bool:
    """「找谁」, 「谁负责」, and nothing else: of what was told before."""
    return _whole("asks_who_has_it", text)


def has_wish(clause: str) -> bool:
    """Whether a clause says what the resident wants to be done."""
    return _has("wishes", clause)


def asks_about_worker(text: str) -> bool:
    """「师傅姓啥」「来的人靠谱吗」: about whoever comes."""
    return _has("about_worker", text)


def speaks_of_worker(text: str) -> bool:
    """师傅, whoever that was."""
    return _has("worker_word", text)


def opens_suggestion_box(text: str) -> bool:
    """「意见箱」 and nothing else: the suggestion itself comes next."""
    return _whole("suggestion_box", text)


def may_name(text: str) -> bool | None:
    """Yes or no to 「转告时可以写上您的称呼吗」, None if the text is about something else."""
    if _has("refuse_name", text):
        return False
    return True if _has("consent_name", text) else None


def is_angry(text: str) -> bool:
    return _has("angry", text)


def shouts(text: str) -> bool:
    """「！！！」, read before it is normalised away."""
    return bool(_patterns()["shouts"].search(text))


def gives_up(text: str) -> bool:
    """Done answering questions: 你们看着办, 烦不烦 … (domain.md §5.3)."""
    return _has("gives_up", text)


def self_checked(text: str) -> bool:
    """The worker's own statement that it works and is cleaned up."""
    return _has("self_checked", text)


def sounds_like(act: str, text: str) -> bool:
    """Whether a worker's words may tell of this act: finish, arrive or wait (for a part)."""
    return f"act_{act}" in _patterns() and _has(f"act_{act}", text)


def bare_request(text: str) -> bool:
    """「我想报修」 or 「我要投诉」 alone: what it is about still has to be said."""
    return bool(_patterns()["bare_request"].fullmatch(_spoken(text)))


def form_asked_for(text: str) -> str:
    """The form that a bare request names, whatever the model makes of two words; "" if it is none."""
    if not bare_request(text) or _has("bare_question", text):
        return ""
    return "complaint_form" if _has("bare_complaint", text) else "repair_form"


def wants_complaint(text: str) -> bool:
    """「我要投诉」, whatever else is said."""
    return _has("wants_complaint", text)


def is_vulnerable(text: str) -> bool:
    """Someone is affected who cannot help themselves (domain.md §3.5)."""
    return _has("vulnerable", text) and not _has("asks_quiet", text)


def behind_door(text: str) -> bool:
    """「孩子在里面睡着呢」, 「锅里还煮着东西」 of a home that nobody can get into; 「没有老人孩子 火关了」 says the contrary."""
    return _has_undenied("behind_door", "behind_door_denied", text)


def no_hurry(text: str) -> bool:
    return _has("no_hurry", text)


def only_drips(text: str) -> bool:
    """Water in drops, and none that runs."""
    return _has("drips", text) and not _has("runs", text)


def has_stopped(text: str) -> bool:
    """「刚拧紧了 现在好了」, 「总阀关了」: water runs no more; 「关了还在滴」 says the contrary."""
    return _has("stopped", text) and not _has("not_stopped", text)


def drops_draft(text: str) -> bool:
    """「算了不报了」: the draft goes (SC03)."""
    return _has("drops_draft", text)


def dropped(text: str) -> str | None:
    """「算了不报了 我想问下物业费怎么交」: what is left after the taking back, "" for nothing; None if it does not begin so."""
    pieces = re.split(f"({_CLAUSE_ENDS})", text.strip())
    kept = 0
    while kept < len(pieces) and _whole("drop_clause", pieces[kept]):
        kept += 2
    return "".join(pieces[kept:]).strip() if kept else None


def _spoken(text: str) -> str:
    """A message as it is said, without the marks around it."""
    return normalize(text).text.strip("，。！？~. ")


def _whole(name: str, text: str) -> bool:
    return bool(_patterns()[name].fullmatch(_spoken(text)))


def hesitates(text: str) -> bool:
    """「算了」, 「再说吧」 alone: not enough to give up a registered job (domain.md §5.5)."""
    return _whole("hesitates", text)


def plainly_cancels(text: str) -> bool:
    """「不用来了」「我自己弄好了」, and not only 「算了 我多接几桶」."""
    return _has("plain_cancel", text)


def keeps_job(text: str) -> bool:
    """「算了 时间不改了」 gives up a change and not the job."""
    return _has("keeps_job", text)


def only_asked(text: str) -> bool:
    """「不用登记 我就问问」 of what has just been registered."""
    return _has("only_asked", text)


def only_correcting(text: str) -> bool:
    """「写错了」 alone: what is right still has to be said."""
    return _whole("only_correcting", text)


def plainly_off(text: str) -> bool:
    """「水龙头那个不用修了」「取消0012」: in words that leave no doubt."""
    return _has("plainly_off", text)


def does_it_alone(text: str) -> bool:
    """「不用了我自己换」: who will see to it without us."""
    return _has("does_it_alone", text)


def hums(text: str) -> bool:
    """「那个啥」「请问」: what comes before the matter, and asks nothing."""
    return _whole("hums", text)


def adds(text: str) -> bool:
    """还有, 另外: what follows is a matter of its own."""
    return _has("adds", text)


def is_assent(text: str) -> bool:
    """「好」「要得」「随便」: polite, and no word about the fault."""
    return _whole("assent", text)


def is_also(text: str) -> bool:
    """也: the same trouble with another thing."""
    return _has("also", text)


def asks(text: str) -> bool:
    """A question of the resident's own, so not the answer to one of ours."""
    return _has("asks", text)


def plainly_asks(text: str) -> bool:
    """「欠两年了会断我水不」: asked in one breath, and nobody is blamed."""
    return _has("plainly_asks", text)


MOST_LEFT = 2


def leans(text: str) -> bool:
    """「多少钱一个月啊」, 「那押金呢」: a question with hardly a subject of its own."""
    spoken = _spoken(text)
    left = _patterns()["question_words"].sub("", spoken)
    few = left != spoken and len(left) <= MOST_LEFT and _has("leaning_question", text)
    return few and not things_in(text) and not _has("not_leaning", text)


MOST_ASKED_ON = 20
SHORT_QUESTION = 14


def asks_on(text: str) -> bool:
    """「周末也能办吗」, 「要带啥」, 「要是不热找谁」: a short question that names no matter of its own."""
    spoken = _spoken(text)
    if len(spoken) > MOST_ASKED_ON or not any(_has("asking_on", one) for one in re.split(_CLAUSE_ENDS, text)):
        return False
    if _has("asks_supposing", spoken):
        return True
    if _has("own_matter", spoken) or things_in(_patterns()["no_thing"].sub("", spoken)):
        return False
    return all(_patterns()["no_matter"].fullmatch(concept) for _, _, concept in find_concepts(spoken))


def asks_other_time(text: str) -> bool:
    """「周末呢」, 「那过年呢」: whether what was told holds then."""
    return _whole("asks_other_time", text)


def asks_when_told(text: str) -> bool:
    """「几天有信」, 「多久给我」: when the answer to a question comes."""
    return _whole("when_told", text)


def needs_no_answer(text: str) -> bool:
    """「算了不用了」, 「不用问了」 after a question that somebody was to answer."""
    return _whole("no_answer_needed", text)


def asks_to_ask(text: str) -> bool:
    """「那你帮我问问呗」, with a home behind it or not."""
    return _has("to_ask", text)


def only_place(text: str) -> bool:
    """「4栋1单元1201」 and nothing else."""
    return _whole("only_place", text)


def left_open(text: str) -> bool:
    """「没解决」, 「不是问这个」: the written answer did not help."""
    return bool(_patterns()["left_open"].search(_spoken(text)))


def corrects(text: str) -> bool:
    """Begins by taking back what was said before: 不对, 说错了, 不是马桶."""
    return _has("corrects", text)


def smells_nothing(text: str) -> bool:
    """「没得味道」: has smelled for gas and found none."""
    return _has("smells_nothing", text)


def begins_with_yes(text: str) -> bool:
    """A clear yes in front, whatever follows; 对了 is none."""
    return _has("begins_with_yes", text)


def yes_cancel(text: str) -> bool:
    return _has("yes_cancel", text) and not _has("no_cancel", text)


def no_cancel(text: str) -> bool:
    return _has("no_cancel", text)


def supposes(text: str) -> bool:
    """「要是明天又滴了咋办」: a fear or a case, and nothing that has happened."""
    return _has("supposes", text)


def names_lift(text: str) -> bool:
    """Whether a lift is spoken of at all."""
    return _has("names_lift", text)


def what_of(text: str) -> bool:
    """「那地锁呢」, and nothing else."""
    return _whole("what_of", text.strip().rstrip("?？"))


def about_visit(text: str) -> bool:
    """「来之前给我打个电话」「让我妈在家等」: what whoever comes has to know."""
    return _has("about_visit", text)


def speaks_of_visit(text: str) -> bool:
    """「到底哪天来修」「师傅呢」: about a job that is gone to, and no complaint."""
    return _has("speaks_of_visit", text)


def too_late(text: str) -> bool:
    """「明早才来？」: a time that was promised is too late, and no other one is asked for."""
    return _has("too_late", text)


def says_cancel(text: str) -> bool:
    """Whether any word takes something back, ends it or says that it is settled: without one nothing is cancelled unasked."""
    return _has("says_cancel", text)


def protests_cancelling(text: str) -> bool:
    """「谁让你取消了」「恢复一下」「别取消啊」: what was taken back shall stand again."""
    return _has("protests_cancelling", text)


def all_meant(text: str) -> bool:
    """「两个都要修」「全给我恢复」."""
    return _has("all_meant", text)


def all_at_once(text: str) -> bool:
    """「两个一起弄」: what is said is for every open job."""
    return _has("all_at_once", text)


def several_meant(text: str) -> bool:
    """「厨房灯和镜前灯都不用了」: of more than one."""
    return _has("several_meant", text)


def all_of_them(text: str) -> bool:
    """都取消: all of the offered choices."""
    return _has("all_of_them", text)


def asks_who_pays(text: str) -> bool:
    """「谁赔」 and nothing else: of what was told before."""
    return _whole("who_pays", text)


def says_done(text: str) -> bool:
    """「弄完了 换了个电容 收了30」 of a worker: the job is done, and paid for."""
    return _has("says_done", text)


def at_home(text: str) -> bool:
    """「我家的水有怪味」: told of the writer's own home, whatever the cause."""
    return _has("at_home", text)


def things_in(text: str) -> frozenset[str]:
    """The broken things a text names: 灯, 马桶, 门锁 …"""
    return frozenset(pattern("thing").findall(normalize(text).text))


def same_things(text: str, known: str) -> bool:
    """Whether a text names a thing, and none but those of the `known` words; what only runs out of a thing is none."""
    things = {one for one in things_in(text) if not _has("runs_out", one)}
    return bool(things) and things <= things_in(known)


def clauses_about(text: str, matters: Sequence[str]) -> dict[int, str]:
    """For each of several matters that a text names alone in a clause, these clauses with those behind it that name none:
    「地漏后天再弄也行 跳闸今天能来吗 我六点半以后在家」."""
    found: dict[int, str] = {}
    about: int | None = None
    for clause in re.split(_CLAUSE_ENDS, text):
        named = named_among(clause, matters)
        if named:
            about = named[0] if len(named) == 1 else None
        if about is not None:
            found[about] = f"{found.get(about, '')} {clause}".strip()
    return found


def named_among(text: str, matters: Sequence[str]) -> list[int]:
    """Which of several matters (name and words of each) a text names: by a thing (「灯那个不用修了」), by a place (「客厅那个」),
    by both where several have the thing."""
    things, spots = things_in(text), spots_in(text)
    by_thing = [index for index, matter in enumerate(matters) if things & things_in(matter)]
    by_spot = [index for index, matter in enumerate(matters) if spots & spots_in(matter)]
    return [index for index in by_thing if index in by_spot] or by_thing or by_spot


def alike_among(text: str, matters: Sequence[str]) -> list[int]:
    """Which of several matters a text names by nothing but their own words (「烧烤店那个」): those that share most pairs of
    telling characters with it, unless all do."""
    said = _telling_pairs(text)
    shared = [len(said & _telling_pairs(matter)) for matter in matters]
    most = [index for index, count in enumerate(shared) if count and count == max(shared)]
    return most if len(most) < max(len(matters), 2) else []


def _telling_pairs(text: str) -> set[str]:
    pairs = {one + other for one, other in pairwise(normalize(text).text)}
    return {pair for pair in pairs if re.fullmatch(r"[\u4e00-\u9fff]{2}", pair) and not _has("empty_pair", pair)}


def spots_in(text: str) -> frozenset[str]:
    """The rooms and places a text names: 厨房, 主卫, 楼道 …"""
    return frozenset(pattern("place").findall(normalize(text).text))


def taken_back(text: str) -> str:
    """The clauses of a text that take something back: 「客厅那个算了」, 「水槽那个我拧紧了」 behind other words; "" without any."""
    helped = not _has("mended_in_vain", text)
    return _clauses_where(lambda clause: drops_draft(clause) or (helped and _has("mended_oneself", clause)), text)


def wanted_still(text: str) -> str:
    """The clauses of a text that keep something: 「就修插座吧」 behind what is taken back; "" without any."""
    return _clauses_where(_keeps, text)


def not_wanted(text: str) -> str:
    """The other clauses of a text: what it takes back, if anything."""
    return _clauses_where(lambda clause: not _keeps(clause), text)


def _keeps(clause: str) -> bool:
    return _has("wanted_still", clause)


def _clauses_where(holds: Callable[[str], bool], text: str) -> str:
    return " ".join(filter(holds, re.split(_CLAUSE_ENDS, text)))


def beside_complaints(text: str, complaints: Iterable[str]) -> str:
    """A message without the clauses that are complaints of their own: where its fault is, they do not say."""
    for words in complaints:
        text = text.replace(words, " ", 1)
    return text


def told_beside(text: str, about: str = "") -> str:
    """What a message tells of another thing behind 另外 or 顺便: 「客厅灯也不亮」 beside a smell of gas; "" if nothing.
    `about`: what is known of the first matter already."""
    for opener in _patterns()["beside"].finditer(text):
        rest = text[opener.end() :].strip(_EDGES)
        named = things_in(rest)
        if named and named.isdisjoint(things_in(about + text[: opener.start()])):
            return rest
    return ""


def list_named(text: str) -> str:
    """Which list of tickets a leader asks for in plain words, "" if none."""
    return next((name for name in _LISTS if _has(f"list_{name}", text)), "")


def asks_of_dangers(text: str) -> bool:
    """「今天有人打架吗」 of a colleague: a question about dangers, and no danger told."""
    return _has("asks_of_dangers", text) and not _has("calls_for_help", text)


def asks_who_is_on_duty(text: str) -> bool:
    """「谁闲着」「谁手上活最少」 of a leader."""
    return _has("who_is_on_duty", text)


def asks_most(text: str) -> bool:
    """「哪栋最闹腾」「啥毛病报得最多」 of a leader."""
    return _has("most", text)


def asks_day_totals(text: str) -> bool:
    """「今天咋样」 of a leader: what came in, was done and is open."""
    return _has("day_totals", text)


def asks_who_waits(text: str) -> bool:
    """「找人工的有人接吗」 of a leader."""
    return _has("who_waits", text)


def resumes_draft(text: str) -> bool | None:
    """Yes or no to 「刚才说到一半的还需要登记吗」, None if the text is about something else."""
    if _has("resume_no", text):
        return False
    return True if _has("resume_yes", text) else None


def self_check_yes(text: str) -> bool:
    """A plain yes to 「故障已排除、试用正常、现场已清理，都做好了吗」."""
    return _has("self_check_yes", text) and not _has("self_check_no", text)


def none_of_these(text: str) -> bool:
    """都不是: none of the offered choices was meant."""
    return _has("none_of_these", text)


def plan_needs(plan: str, fen: int | None) -> tuple[str, ...]:
    """Why a plan needs the resident's consent: paid, an outage, drilling or breaking, replaced parts (domain.md S24)."""
    named = tuple(need for need in ("outage", "drilling", "parts") if _has(f"plan_{need}", plan))
    return ("paid", *named) if fen else named


def speaks_of_parts(note: str) -> bool:
    """Whether a worker's note says that something was replaced by a new part, without naming it."""
    return _has("parts_used", note)


def objects(remark: str) -> bool:
    """Whether a remark beside a yes names something that was not right."""
    return _has("objects", remark)


def no_photo(note: str) -> bool:
    """The worker says why there is no picture."""
    return _has("no_photo", note)


def is_false_alarm(note: str) -> bool:
    return _has("false_alarm", note)


def cause_in(note: str) -> str:
    """The cause a worker's note names, "" if none."""
    return next((name for name, words in causes().items() if any(word in note for word in words)), "")


def is_restored(text: str) -> bool | None:
    """Yes or no to 「家里恢复了吗」, None if the text is about something else."""
    if _has("not_restored", text):
        return False
    return True if _has("restored", text) else None


def joins(text: str) -> bool | None:
    """Yes or no to 「把您也记上，可以吗」, None if the text is about something else."""
    if _has("join_no", text):
        return False
    return True if _has("join_yes", text) else None


RIGHTS = ("file", "erase", "seen", "phone")


def right_claimed(text: str) -> str:
    """Which right over their own data somebody uses: file (导出), erase (删除), seen (谁看过), phone (改电话); "" for none."""
    words = text.replace(find_phone(text) or "\n", "").strip(" ，,：:")
    return next((name for name in RIGHTS if _has(f"right_{name}", words)), "")


def right_confirmed(text: str) -> bool | None:
    """Yes or no to 「要导出吗」, 「确认申请删除吗」; None for anything else."""
    spoken = _spoken(text)
    if _patterns()["right_no"].search(spoken):
        return False
    return True if _patterns()["right_yes"].search(spoken) else None


def same_water(first: str, second: str) -> bool:
    """Whether two clauses of one message tell of the same water: 「洗衣机管子冒水」 and 「地漏咕噜咕噜」, 「水龙头滴水」 and 「水池积水」."""
    rooms = spots_in(first) | spots_in(second)
    if _has("water_apart", second) or (spots_in(first) and spots_in(second) and len(rooms) > 1):
        return False
    both_ways = _has("water_drains", first) and _has("water_comes_up", second)
    return both_ways or (_has("water_runs", first) and _has("water_stands", second))


def listed_faults(text: str) -> list[tuple[str, str]]:
    """Each of several things that a text lists with 、 as broken (「水龙头滴水、灯闪」), with the category of such a thing; none where
    a piece names no such thing, or two the same."""
    pieces = [piece.strip() for piece in text.split(say("list.comma")) if piece.strip()]
    codes = [thing_code(piece, unknown="") for piece in pieces]
    short = all(len(piece) <= MOST_IN_LIST for piece in pieces[1:])
    told = len(pieces) > 1 and short and all(codes) and len(set(codes)) == len(codes)
    return list(zip(pieces, codes, strict=True)) if told else []


MOST_IN_LIST = 8
_LISTED = "listed_"


def apart_from_lamps(text: str) -> str:
    """A text without the words that announce another fault of lamps or sockets: 「马桶堵了 还有灯不亮」 has no water near a lamp."""
    return _patterns()["adds_lamp"].sub(" ", text)


def without_number_tails(text: str) -> str:
    """A text with 「尾号0089」 blanked, every character in its place: the last digits of a telephone are no room."""
    return _blanked(_patterns()["number_tail"], text)


def states_room(text: str) -> bool:
    """「房号1003」: a room stated as one, and no number among others."""
    return _has("states_room", text)


def put_right(text: str) -> str:
    """What stands behind the last 「说错了」 or 「不对」 of a text: 「5栋哪有楼道 我说错了 是6栋」; "" where nothing does."""
    marks = list(_patterns()["wrong_mark"].finditer(text))
    return text[marks[-1].end() :].strip(_EDGES) if marks else ""


def telling_where(text: str) -> str:
    """A text without the clauses that name a place and do not say that it is there, every character in its place: 「屋顶漏水？」
    asks, 「不是泳池」 denies, 「秋千照片我发你」 is of a picture."""
    kept = text
    for clause in _CLAUSE.finditer(text):
        said = clause.group()
        if said.endswith(("?", "\uff1f")) or _has("of_picture", said) or denies_place(said):
            kept = kept[: clause.start()] + " " * len(said) + kept[clause.end() :]
    asked_only = not kept.strip(_EDGES) and not _has("of_picture", text) and not denies_place(text)
    return text if asked_only else kept


def denies_place(text: str) -> bool:
    """「不是泳池」, 「我又不是顶楼」, and no word where it is instead."""
    return any(_has("denied_place", clause) for clause in re.split(_CLAUSE_ENDS, text) if clause)


def never_said(text: str) -> str | None:
    """「我没说电梯」, 「我没报过这个」 of what has just been registered: what was never told, "" for 这个; None for other words, also
    where they say what was told instead (「我报的是灯」)."""
    clauses = [normalize(one).text for one in clauses_of(text)]
    found = next(filter(None, map(_patterns()["never_said"].search, clauses)), None)
    if found is None or any(map(_patterns()["said_instead"].search, clauses)):
        return None
    what = found["what"].strip(_EDGES)
    return "" if _whole("unsaid_this", what) or not what else what


def deletes_this(text: str) -> bool:
    """「这条删了」 of what has just been registered."""
    return _has("deletes_this", text)


def waits_in_vain(text: str) -> bool:
    """「他说两点到现在都没到」, 「等到六点 鬼影子都没一个」: somebody was to come."""
    return _has("waits_in_vain", text)


def chased_for(text: str) -> str:
    """What is broken and where, in words that chase: 「卫生间排风扇」 of 「就卫生间排风扇啊 说下午来」; "" if they name no thing."""
    clauses = [one for one in re.split(_CLAUSE_ENDS, text) if one and not waits_in_vain(one)]
    told = [_patterns()["chasing_words"].sub("", one) for one in clauses]
    return " ".join(filter(None, told)) if any(map(things_in, told)) else ""


def told_already(ask: str, words: str) -> bool:
    """Whether a report answers a question about it (its name in data/catalog/categories.yml) beforehand: 「别的都好的」."""
    return f"told_{ask}" in _patterns() and _has(f"told_{ask}", words)


MOBILE, LANDLINE, LEAST_BEGUN = 11, 8, 7


def spoken_phone(text: str) -> str:
    """The telephone that the answer to our question for one spells in figures of any kind, with spaces between: 「幺三九 五七幺
    二三四八 八零零零」, 「八六五二二三三一」; "" where none is complete."""
    number = _spelt(text)
    mobile = len(number) == MOBILE and number[0] == "1" and number[1] in "3456789"
    local = len(number) == LANDLINE and number[0] in "23456789"
    return number if (mobile or local) and not _has("number_forgotten", text) else ""


def begun_phone(text: str) -> bool:
    """「幺三九 五七幺 二三四 八八 哎我记不全」: a telephone begun and not ended, or with a figure too many."""
    return len(_spelt(text)) >= LEAST_BEGUN and not spoken_phone(text)


def _spelt(text: str) -> str:
    """The figures of the longest run of them in a text, as digits; "" where they stand for a place, a time or money."""
    if _has("no_telephone", text):
        return ""
    runs: list[str] = _patterns()["figures"].findall(text)
    longest = max(runs, key=len, default="")
    return "".join(str(read_number(one)) for one in longest if one.strip())


def _blanked(found: re.Pattern[str], text: str) -> str:
    return found.sub(lambda hit: " " * len(hit.group()), text)


_CLAUSE = re.compile(r"[^\s\uff0c\u3002\uff01\uff1f\uff1b\u2026,.!?;]+[?\uff1f]?")


# --- what a dispute or a complaint goes on with -----------------------------------------------------------------------


def disputes_visit(text: str) -> bool:
    """「谁说没人 我一天都在家」「哪有人来过」: nobody was there although it was written down so."""
    return _has("disputes_visit", text)


def asks_money_back(text: str) -> bool:
    """「退钱！」「我要退600块」."""
    return _has("asks_money_back", text)


def wants_it_now(text: str) -> bool:
    """「你们现在就上去敲门行不行」「现在有没有人上去」."""
    return _has("wants_it_now", text)


def adds_to_complaint(text: str) -> bool:
    """「…加到投诉里」「也写进去」, and no question whether it is in there."""
    return _has("adds_to_complaint", text) and not asks_what_is_in_it(text)


def asks_what_is_in_it(text: str) -> bool:
    """「里面写我妈被关十分钟了没」: of the complaint told before."""
    return _has("asks_what_is_in_it", text)


def hurt_by_animal(text: str) -> bool:
    """「大金毛扑我奶奶，胳膊蹭破皮了」."""
    return _has("hurt_by_animal", text)


def of_many_homes(text: str) -> bool:
    """「我们整栋楼都…」「五户联名」."""
    return _has("of_many_homes", text)


def points_back(text: str) -> bool:
    """「那他要打人这事你们管不管」: names no thing and leaves out what was told just before."""
    return _has("points_back", text) and not things_in(_patterns()["minding"].sub("", text))


def damage_by_worker(text: str) -> bool:
    """「师傅来修门锁把我门框磕掉一大块漆」."""
    return _has("damage_by_worker", text)


def heard_at_home(text: str) -> bool:
    """A noise that whoever tells of it hears in their flat."""
    return _has("heard_at_home", text)


def is_wish_topic(clause: str) -> bool:
    """「处理嘛」 names what comes next and asks for nothing."""
    return _has("wish_topic", clause)


def result_told(note: str) -> str:
    """What a worker's note says of the work: without why there is no picture (「拍不了 太黑」); "" if it says nothing else."""
    rest = _patterns()["finish_head"].sub("", note.strip())
    if not no_photo(note):
        return rest.strip()
    clauses = [one for one in re.split(_CLAUSE_ENDS, rest) if one]
    return " ".join(one for one in clauses if not (no_photo(one) or _has("photo_reason", one)))


def clauses_of(text: str) -> list[str]:
    """The clauses of a text, each with its question mark."""
    return _CLAUSE.findall(text)


def asked_instead(text: str) -> str:
    """「多少钱一个」 of 「都不是，我问你多少钱一个」: the question behind a no; "" if there is none, as in 「不行吗」."""
    found = [one for one in clauses_of(text) if _has("asks_instead", one)]
    return _patterns()["asking_head"].sub("", found[-1]) if found else ""


def points_at(text: str) -> bool:
    """「这个」「就这」 and nothing else: a finger on what was sent before."""
    return _whole("points_at", text)


def is_broken(text: str) -> bool:
    """Whether a text names a thing and says that it does not work: 「门铃不响了」, and not 「修门铃的改明天」."""
    return bool(things_in(text)) and any(_has("broken", clause) and things_in(clause) for clause in clauses_of(text))


def thing_code(text: str, *, unknown: str = "X00") -> str:
    """The category of the thing at home that a text says to be broken, `unknown` where none is known for it."""
    known = (name for name in _patterns() if name.startswith(_LISTED))
    return next((name.removeprefix(_LISTED) for name in known if _has(name, text)), unknown)


def hours_told(text: str) -> str:
    """A text with the hour that it names twice told in full both times: 「到晚上八点才到家，八点后能来」 is of the evening."""
    first = _patterns()["evening_hour"].search(text)
    if first is None:
        return text
    hour, end = read_number(first["hour"]), first.end()

    def in_full(found: re.Match[str]) -> str:
        return f"{first['part']}{found['hour']}" if read_number(found["hour"]) == hour else found.group()

    return text[:end] + _patterns()["bare_hour"].sub(in_full, text[end:])


# --- what is said of what was told, asked or praised before -----------------------------------------------------------


def neighbour_room(text: str) -> str:
    """The number of a flat named beside one's own: 「5栋803楼上903」; "" for none."""
    found = _patterns()["neighbour_room"].search(normalize(text).text)
    return found["room"] if found else ""


def speaks_of_ticket(text: str) -> bool:
    """「那个单子取消」: what is registered, and not what is still being told."""
    return _has("speaks_of_ticket", text)


def asks_own_tickets(text: str) -> bool:
    """「我还有单子吗」, and nothing else."""
    return _whole("asks_own_tickets", text)


def plainly_praises(text: str) -> bool:
    """「你们绿化搞得倒是挺好的」 and nothing else, or 「我是夸你们呢」."""
    return _whole("plain_praise", text) or says_praise(text)


def says_praise(text: str) -> bool:
    """「绿化是夸你们呢 听不出来啊」: what was said is praise."""
    return _has("says_praise", text)


def sent_in_error(text: str) -> bool:
    """「哦不好意思发错了」, and nothing else."""
    return _whole("sent_in_error", text)


def no_complaint(text: str) -> bool:
    """「没事没事 不是投诉」, and nothing else."""
    return _whole("no_complaint", text)


def none_but(text: str) -> str | None:
    """「燃气」 of 「都不是 燃气」: what is said instead of the choices that were offered, "" for nothing; None where one may be meant."""
    first, *rest = re.split(_CLAUSE_ENDS, text.strip(), maxsplit=1)
    return "".join(rest).strip() if none_of_these(first) else None


def both_meant(text: str) -> bool:
    """「两个都想问」: all that was offered."""
    return _has("both_meant", text)


def signs_praise(text: str) -> str:
    """「6栋老李」 of 「就写6栋老李」: how somebody who praises wants to be named; "" where no name is told."""
    found = _patterns()["signs_praise"].fullmatch(_spoken(text))
    name = found["name"] if found else ""
    return name if find_salutation(name) or _has("short_name", name) else ""


def nothing_wrong(text: str) -> bool:
    """「没啥事 就想问下今天停不停水」: nothing is to be taken down."""
    return _has("nothing_wrong", text)


def declines_phone(text: str) -> bool:
    """「不想留电话 你们去倒就行了」."""
    return _has("declines_phone", text)


def went_away(text: str) -> bool:
    """「诶他走了」, 「车走了」, and nothing else."""
    return _whole("went_away", text)


def asks_whose_side(text: str) -> bool:
    """「何姐不会就是她领导吧」: whether who has a complaint belongs to those it is about."""
    return _has("asks_whose_side", text)


# --- what is said beside a visit --------------------------------------------------------------------------------------


def opens_the_door(text: str) -> bool:
    """「让我姐过去开门 她电话…」: somebody else is there for the visit, and is rung."""
    return _has("opens_the_door", text)


def person_named(text: str) -> str:
    """刘梅 of 「我姐叫刘梅」; "" if nobody is named so."""
    found = _patterns()["person_named"].search(text)
    return found["name"] if found else ""


def puts_tail_right(text: str) -> str:
    """「尾号不对 是7756」: the right last digits of a number noted wrong; "" for anything else."""
    tail = _patterns()["number_tail"].search(text)
    if tail is None or _patterns()["tail_put_right"].search(text) is None or _CLAUSE.search(text[tail.end() :]):
        return ""
    return re.findall(r"\d{4}", normalize(tail.group()).text)[-1:][0] if re.search(r"\d{4}", tail.group()) else ""


def takes_back(text: str) -> bool:
    """「先撤了吧」 of the job that is named."""
    return _has("takes_back", text) and not asks(text) and not no_cancel(text)


def asks_what_is_noted(text: str) -> bool:
    """「你现在记的是几栋几单元」「敲门那个你记上没」."""
    return _has("asks_what_is_noted", text)


def numbers_in(text: str) -> frozenset[str]:
    """The numbers of four digits in a text, as tickets are called by."""
    return frozenset(re.findall(r"(?<!\d)\d{4}(?!\d)", text))


def clauses_without(text: str, words: str) -> str:
    """The clauses of a text that are not among those of `words`."""
    return _clauses_where(lambda clause: clause not in words, text)


def without_asides(text: str) -> str:
    """A text without the clauses that ask something by the way (「顺便问下楼下快递柜几点关」), every character in its place."""
    kept = text
    for clause in _CLAUSE.finditer(text):
        if _has("asked_aside", clause.group()):
            kept = kept[: clause.start()] + " " * len(clause.group()) + kept[clause.end() :]
    return kept if kept.strip(_EDGES) else text


def same_door(told: str, beside: str) -> bool:
    """「单元门关不上 电子锁也不灵」: the lock is that door's, and no home's."""
    of_home = at_home(beside) or bool(things_in(beside) & things_in(told))
    return _has("shared_door", told) and _has("of_the_door", beside) and not of_home


def instead_of(text: str) -> str:
    """电梯进水 of 「不是电梯进水 是车位顶上管子滴水」: what it is said not to be, where it is said what it is; "" for anything else."""
    found = _patterns()["instead_of"].search(text)
    return found["wrong"] if found else ""


def asks_why_then(text: str) -> bool:
    """「我约的周二 你今天四点半来干嘛」: the time that was agreed shall stand."""
    return _has("why_then", text)
