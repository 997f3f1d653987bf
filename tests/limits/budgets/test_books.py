"""What the books of budgets allow, in both databases; and workers' purses over them."""

import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Budget
from headworks.limits.budgets import Account, Allowance, Books, Claim, Purses, Spender, accounts_of
from headworks.limits.budgets.sqlite_ledger import SqliteLedger

NOON = 1_795_521_600.0


def books_of(ledger, recorded: int = 0, told: list[int] | None = None) -> Books:
    tell = (lambda crossing: None) if told is None else (lambda crossing: told.append(crossing.percent))
    return Books(ledger, lambda account: recorded, tell)


def account_of(cap: int, **details) -> Account:
    return accounts_of("key/one", Budget(day_pico=cap, **details), NOON)[0]


def claimed(
    books: Books, holder: str, account: Account, spent: int, reserved: int, wanted: int, least: int = 0
) -> Allowance:
    return books.claim(holder, [Claim(account, spent, reserved, wanted, least)])[0]


def test_what_a_dead_worker_held_stays_set_aside_until_somebody_lets_it_go(make_ledger):
    ledger = make_ledger()
    books, account = books_of(ledger), account_of(100)
    assert claimed(books, "dead", account, 10, 20, 50).held == 50
    assert claimed(books, "other", account, 0, 0, 80).held == 20
    assert ledger.write(lambda: ledger.let_go(ledger.now_s() - 60)) == 0
    assert claimed(books, "other", account, 0, 0, 80).held == 20
    assert ledger.write(lambda: ledger.let_go(ledger.now_s() + 60)) == 2
    assert claimed(books, "other", account, 0, 0, 95).held == 90


def test_what_a_silent_worker_held_is_not_waited_for_and_is_not_given_away(make_ledger):
    ledger = make_ledger(now=lambda: now_s)
    books, account = books_of(ledger), account_of(100)
    now_s = 1.0
    claimed(books, "silent", account, 10, 20, 50)
    later = ledger.write(ledger.now_s) + 61
    ledger.now_s = lambda: later  # the server's clock goes by itself
    allowance = claimed(books, "other", account, 0, 0, 80)
    assert (allowance.held, allowance.spent, allowance.reserved) == (20, 80, 0)
    back = claimed(books, "silent", account, 30, 0, 0)
    assert (back.spent, back.held) == (30, 0)
    assert claimed(books, "other", account, 0, 0, 80).held == 70


def test_what_is_set_aside_for_a_batch_is_not_silent_and_comes_to_what_it_cost_once(make_ledger):
    ledger = make_ledger()
    books, account = books_of(ledger), account_of(100)
    claimed(books, "batch/main/b1", account, 0, 60, 0)
    ledger.write(lambda: ledger.let_go(ledger.now_s() + 10**6))
    assert claimed(books, "w", account, 0, 0, 100).held == 40
    for _ in range(2):
        books.settle("batch/main/b1", 15)
    allowance = claimed(books, "w", account, 0, 0, 100)
    assert (allowance.held, allowance.spent) == (85, 15)
    books.settle("batch/main/b1", -1)
    assert claimed(books, "w", account, 0, 0, 100).spent == 15, "what has ended stays as it ended"


def test_of_a_batch_whose_cost_nobody_knows_all_counts_that_was_set_aside(make_ledger):
    books, account = books_of(make_ledger()), account_of(100)
    claimed(books, "batch/main/b1", account, 0, 60, 0)
    books.settle("batch/main/b1", -1)
    assert claimed(books, "w", account, 0, 0, 100).spent == 60


def test_what_was_spent_survives_whoever_keeps_the_books(make_ledger):
    account = account_of(100)
    claimed(books_of(make_ledger()), "one", account, 60, 0, 10)
    allowance = claimed(books_of(make_ledger()), "two", account, 0, 0, 100)
    assert (allowance.held, allowance.spent) == (30, 60)


def test_a_budget_that_is_new_in_the_middle_of_its_period_counts_what_the_period_has_cost(make_ledger):
    ledger, account = make_ledger(), account_of(100)
    assert claimed(books_of(ledger, recorded=95), "one", account, 0, 0, 50).held == 5
    assert claimed(books_of(ledger, recorded=50), "one", account, 0, 0, 50).held == 5, "it is asked once"


def test_each_share_of_a_budget_is_told_once(make_ledger):
    told: list[int] = []
    account = account_of(100, alert_at=(50, 80, 100))
    books = books_of(make_ledger(), told=told)
    for spent in (10, 49, 50, 55, 100, 100):
        claimed(books, "one", account, spent, 0, 0)
    assert told == [50, 100]


def test_what_is_said_twice_counts_once_and_what_was_spent_never_falls(make_ledger):
    account, books = account_of(100), books_of(make_ledger())
    for spent in (30, 30, 10):
        claimed(books, "one", account, spent, 0, 10)
    assert claimed(books, "two", account, 0, 0, 100).spent == 30


def test_less_than_the_first_that_waits_needs_is_left_to_others(make_ledger):
    account, books = account_of(100), books_of(make_ledger())
    claimed(books, "one", account, 0, 0, 90)
    allowance = claimed(books, "two", account, 0, 0, 40, least=20)
    assert (allowance.held, allowance.is_short) == (0, True)
    assert claimed(books, "one", account, 0, 0, 90).is_short


def test_another_cap_holds_from_the_next_claim_on(make_ledger):
    books = books_of(make_ledger())
    assert claimed(books, "one", account_of(100), 0, 0, 500).held == 100
    assert claimed(books, "one", account_of(300), 0, 0, 500).held == 300
    assert claimed(books, "one", account_of(50), 60, 0, 500).held == 0


def test_how_accounts_stand_is_seen_and_old_ones_are_forgotten(make_ledger):
    ledger = make_ledger()
    account = account_of(100)
    claimed(books_of(ledger, recorded=1), "one", account, 10, 20, 30)
    (state,) = ledger.states(int(NOON * 1e6))
    assert (state.name, state.cap, state.spent, state.reserved, state.held) == (account.name, 100, 11, 20, 30)
    assert ledger.states(account.ends_us) == []
    ledger.write(lambda: ledger.forget(account.ends_us + 1))
    assert ledger.account(account.name) is None


def test_sixteen_workers_that_claim_at_once_never_have_more_than_the_budget_together(make_ledger):
    account, step = account_of(1_000), 7
    ledgers = [make_ledger() for _ in range(16)]
    spent = [0] * len(ledgers)

    def work(number: int) -> None:
        books = books_of(ledgers[number])
        while (allowance := claimed(books, f"w{number}", account, spent[number], 0, step, step)).held >= step:
            spent[number] += step
        assert allowance.spent + step > account.cap or allowance.is_short

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(ledgers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # What each holds when it stops is less than a step, or others' to take; all told it fits.
    assert account.cap - step * len(ledgers) <= sum(spent) <= account.cap


def test_a_soft_budget_lets_everything_pass_and_counts_it(make_ledger):
    purses, books = Purses(), books_of(make_ledger())
    purse = purses.of(account_of(100, is_hard=False), 0.0)
    for now_s in (1.0, 2.0, 3.0):
        assert purse.try_reserve(90, now_s)
        purse.settle(90, 70)
        purses.take(books.claim("one", purses.beat(now_s)), now_s)
    assert purse.left == -110


def test_what_is_not_used_is_given_back(make_ledger):
    purses, books, account = Purses(), books_of(make_ledger()), account_of(100)
    purse = purses.of(account, 0.0)
    purse.wait(Spender(40, 5.0, lambda: purse.settle(40, 0), lambda: None))
    purses.take(books.claim("one", purses.beat(1.0)), 1.0)
    assert purse.free == 40
    for now_s in (2.5, 4.0, 6.5, 9.0):
        claims = purses.beat(now_s)
        if claims:
            purses.take(books.claim("one", claims), now_s)
    assert claimed(books, "two", account, 0, 0, 100).held == 100


def test_a_call_that_leaves_keeps_nobody_waiting(make_ledger):
    purses = Purses()
    purse = purses.of(account_of(100), 0.0)
    went = list[str]()
    first = Spender(90, 9.0, lambda: went.append("first"), lambda: None)
    second = Spender(20, 9.0, lambda: went.append("second"), lambda: None)
    purse.wait(first)
    purse.wait(second)
    first.leave()
    purses.take(books_of(make_ledger()).claim("one", purses.beat(1.0)), 1.0)
    assert went == ["second"]


def test_what_a_budget_has_not_is_refused_at_once_and_what_may_come_back_is_waited_for(make_ledger):
    books, account = books_of(make_ledger()), account_of(100)
    claimed(books, "other", account, 30, 60, 0)
    purses = Purses()
    purse = purses.of(account, 0.0)
    said: list[str] = []
    purse.wait(Spender(50, 5.0, lambda: said.append("went"), lambda: said.append("refused")))
    purses.take(books.claim("one", purses.beat(0.1)), 0.1)
    assert said == [], "what others have set aside may come back"
    claimed(books, "other", account, 60, 0, 0)
    purses.take(books.claim("one", purses.beat(0.4)), 0.4)
    assert said == ["refused"]


def test_without_an_answer_nothing_is_spent_after_a_while_and_what_was_said_is_said_again(make_ledger):
    purses, books = Purses(), books_of(make_ledger())
    purse = purses.of(account_of(100), 0.0)
    purse.wait(Spender(10, 5.0, lambda: purse.settle(10, 4), lambda: None))
    purses.take(books.claim("one", purses.beat(1.0)), 1.0)
    assert purse.try_reserve(5, 2.0)
    purse.settle(5, 5)
    assert purses.beat(3.0)
    purses.fail(3.0)
    assert purses.is_away(5.0)
    (claim,) = purses.beat(5.0)
    assert claim.spent == 9
    purses.fail(5.0)
    assert not purse.try_reserve(1, 12.0), "nobody knows by now whether it is still ours"


# -- a budget that changes --------------------------------------------------------------------------------------------


def exchange(purses: Purses, books: Books, now_s: float) -> None:
    purses.take(books.claim("one", purses.beat(now_s)), now_s)


def test_a_soft_budget_that_becomes_a_hard_one_lets_nothing_more_pass_that_was_not_allowed(make_ledger):
    purses, books = Purses(), books_of(make_ledger())
    purse = purses.of(account_of(100, is_hard=False), 0.0)
    assert purse.try_reserve(90, 1.0)
    exchange(purses, books, 1.0)
    assert purses.of(account_of(100), 1.1) is purse
    purse.settle(90, 60)
    assert not purse.try_reserve(25, 1.1), "30 came back, and nobody has allowed them"
    exchange(purses, books, 1.3)
    assert purse.try_reserve(25, 1.3) or purse.free == 0


def test_an_answer_to_what_was_claimed_of_a_soft_budget_allows_nothing_of_a_hard_one(make_ledger):
    purses, books = Purses(), books_of(make_ledger())
    purse = purses.of(account_of(100, is_hard=False), 0.0)
    assert purse.try_reserve(300, 1.0)
    allowances = books.claim("one", purses.beat(1.0))
    purses.of(account_of(100), 1.1)
    purse.settle(300, 10)
    purses.take(allowances, 1.1)
    assert not purse.try_reserve(200, 1.1)
    said: list[str] = []
    purse.wait(Spender(95, 3.0, lambda: said.append("went"), lambda: said.append("refused")))
    exchange(purses, books, 1.2)
    assert said == ["refused"], "90 are left"


def test_of_a_budget_that_is_exceeded_when_it_becomes_hard_nothing_comes_back(make_ledger):
    purses, books = Purses(), books_of(make_ledger())
    purse = purses.of(account_of(100, is_hard=False), 0.0)
    assert purse.try_reserve(300, 1.0)
    exchange(purses, books, 1.0)
    purses.of(account_of(100), 1.1)
    exchange(purses, books, 1.3)
    purse.settle(300, 30)
    assert purse.spent == 30
    assert not purse.try_reserve(71, 1.3)
    assert purse.try_reserve(70, 1.3), "as much is left for certain"


def test_a_hard_budget_that_is_lowered_lets_nothing_more_pass_of_what_the_larger_one_allowed(make_ledger):
    purses, books = Purses(), books_of(make_ledger())
    purse = purses.of(account_of(1000), 0.0)
    purse.wait(Spender(400, 5.0, lambda: purse.settle(400, 0), lambda: None))
    exchange(purses, books, 1.0)
    assert purse.free == 400
    purses.of(account_of(50), 1.1)
    assert not purse.try_reserve(60, 1.1)
    exchange(purses, books, 1.3)
    assert not purse.try_reserve(60, 1.3)
    assert purse.try_reserve(50, 1.3)


@pytest.fixture(scope="module")
def fast_books(tmp_path_factory):
    ledger = SqliteLedger(tmp_path_factory.mktemp("books"), now=lambda: 1.0)
    ledger._connection.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug of a test
    yield books_of(ledger)
    ledger.close()


NUMBERS = itertools.count()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whenever_a_budget_becomes_hard_no_call_passes_that_would_exceed_it(fast_books, data):
    """By a model: what is spent, set aside, and was let pass while the budget was hard, with one worker."""
    of, cap = f"key/{next(NUMBERS)}", 1000

    def account(*, is_hard: bool) -> Account:
        return accounts_of(of, Budget(day_pico=cap, is_hard=is_hard), NOON)[0]

    purses, now_s, under_way, is_hard = Purses(), 0.0, [], False
    purse = purses.of(account(is_hard=False), 0.0)
    for _ in range(data.draw(st.integers(1, 25))):
        now_s += 0.05
        match data.draw(st.sampled_from(["call", "end", "exchange", "turn"])):
            case "call":
                amount = data.draw(st.integers(1, 700))
                before = purse.spent + purse.reserved
                if purse.try_reserve(amount, now_s):
                    under_way.append(amount)
                    assert not is_hard or before + amount <= cap
            case "end" if under_way:
                amount = under_way.pop()
                purse.settle(amount, data.draw(st.integers(0, amount)))
            case "exchange":
                claims = purses.beat(now_s)
                if claims:
                    answer = fast_books.claim("one", claims)
                    if data.draw(st.booleans()):
                        is_hard = not is_hard
                        purses.of(account(is_hard=is_hard), now_s)
                    purses.take(answer, now_s)
            case "turn":
                is_hard = not is_hard
                purses.of(account(is_hard=is_hard), now_s)
