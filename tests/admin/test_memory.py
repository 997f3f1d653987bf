from headworks.admin.memory import KEPT_S, Memory


def test_a_request_is_known_again_by_who_made_it_and_its_name(tmp_path):
    memory = Memory(tmp_path)

    assert memory.begin("ann", "one", b"digest", 0.0) is None
    assert memory.begin("bob", "one", b"digest", 0.0) is None
    pending = Memory(tmp_path).begin("ann", "one", b"digest", 1.0)
    assert (pending.is_same, pending.status) == (True, 0)
    assert memory.begin("ann", "one", b"another", 1.0).is_same is False

    memory.finish("ann", "one", 201, b"{}")
    done = memory.begin("ann", "one", b"digest", 2.0)
    assert (done.status, done.answer) == (201, b"{}")


def test_what_came_to_nothing_and_what_is_a_day_old_is_not_known_any_more(tmp_path):
    memory = Memory(tmp_path)
    memory.begin("ann", "one", b"d", 0.0)
    memory.forget("ann", "one")
    assert memory.begin("ann", "one", b"d", 1.0) is None

    memory.finish("ann", "one", 201, b"{}")
    assert memory.begin("ann", "one", b"d", 1.0 + KEPT_S) is not None
    assert memory.begin("ann", "one", b"d", 1.1 + KEPT_S) is None


def test_an_ended_session_stays_ended_until_it_would_have_ended(tmp_path):
    memory = Memory(tmp_path)
    assert not memory.has_ended("s1")

    memory.end_session("s1", until_s=100.0, now_s=0.0)
    assert Memory(tmp_path).has_ended("s1")
    memory.end_session("s2", until_s=300.0, now_s=150.0)
    assert [memory.has_ended(one) for one in ("s1", "s2")] == [False, True]


def test_what_is_good_once_is_good_once_and_forgotten_after_its_time(tmp_path):
    memory = Memory(tmp_path)

    assert [memory.spend("a", 20.0, now_s) for now_s in (10.0, 11.0)] == [True, False]
    assert memory.spend("b", 20.0, 12.0)
    assert memory.spend("a", 40.0, 30.0)
