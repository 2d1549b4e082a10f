from deskhelp import *
from tickets import verbs
def test_decline(desk):
    t=desk.report()
    verbs.decline(desk.session,t,desk.handler(t),"不会",NOW)
    print(desk.assignments(t), t.status, desk.told())
    assert 0
def test_a(desk):
    t=desk.closed(); print(desk.told())
