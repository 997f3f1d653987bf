from headworks.records import open_mark


def test_the_mark_is_seen_by_all_who_have_it_open_and_by_those_who_come_later(tmp_path):
    (first, is_new), (second, is_again_new) = open_mark(tmp_path / "state"), open_mark(tmp_path / "state")
    assert (is_new, is_again_new, first[0], second[0]) == (True, False, 0, 0)

    first[0] = 1

    assert second[0] == 1
    first.close()
    second.close()
    third, _ = open_mark(tmp_path / "state")
    assert third[0] == 1
    third.close()
