"""Batches and fine-tuning jobs under budgets: what they can cost is set aside as long as they run, whoever serves."""

import json
import time

import pytest

from headworks import admitting
from headworks.access import Grant
from headworks.batch_lines import ModelLines, write_models
from headworks.budgeting import Wallet
from headworks.calls import Budget, Caller, Failure, FailureKind, ObjectNote
from headworks.catalogue import Model, Period, Prices, Rates, TargetPrice
from headworks.errors import LimitsUnavailable
from headworks.limits.budgets import Books
from headworks.limits.budgets.sqlite_ledger import SqliteLedger
from headworks.ownership import Shelf

PRICES = Prices(
    periods=(Period(rates=Rates(input=1000, output=2000, training=25)),),
    tiers={"batch": (Period(rates=Rates(input=500, output=1000)),)},
)
PRICE = TargetPrice(PRICES, "v1", Model(name="m", context_tokens=10_000, max_output_tokens=4_000))
ASKED = write_models([ModelLines("m", 10, 3_000, 200, 300)])
BOUND = 3_000 * 500 + 200 * 1000
BATCH = {"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"}
DONE = {"id": "batch_1", "status": "completed", "model": "m", "usage": {"input_tokens": 100, "output_tokens": 7}}
COST = 100 * 500 + 7 * 1000
JOB = {"model": "m", "training_file": "file-1", "hyperparameters": {"n_epochs": 3}}


class Here:
    """The books in the loop itself."""

    def __init__(self, folder):
        self.is_away = False
        self.ledger = SqliteLedger(folder)
        self.ledger._connection.execute("PRAGMA synchronous = OFF")  # nobody pulls the plug of a test
        self.books = Books(self.ledger, lambda account: 0, lambda crossing: None)

    async def claim(self, holder, claims):
        if self.is_away:
            raise LimitsUnavailable("nobody keeps the books")
        return self.books.claim(holder, claims)

    async def settle(self, batch, spent):
        if self.is_away:
            raise LimitsUnavailable("nobody keeps the books")
        self.books.settle(f"batch/{batch}", spent)


class Desk:
    """A key under a budget, and a file that it has uploaded."""

    def __init__(self, hall):
        self.hall = hall
        self.notes = {}
        self.source = Here(hall.folder)
        self.own("file-1", "file", models=ASKED)

    def serve(self, worker="w", **budget):
        hall = self.hall
        hall.wallet = Wallet(self.source, worker, hall.loop)
        hall.ring.grant = Grant(Caller("key_1"), budget=Budget(**budget))

        async def find(object_id, waits):
            return self.notes.get(object_id)

        async def select(selection):
            return []

        hall.make(
            shelf=Shelf(find, select, bytearray(b"\1")), providers=("pooled",), price_of=lambda provider, model: PRICE
        )

    def own(self, object_id, kind, **more):
        self.notes[object_id] = ObjectNote(object_id, kind, 1, 1, "pooled:two", "key_1", **more)

    def ask(self, path, body=None, method="POST"):
        answered = self.hall.ask(path, body, method, turns=6)
        self.run()
        return answered

    def run(self, seconds=0.03):
        self.hall.rest(seconds)

    def end(self, answered, body, **more):
        self.hall.answer(body, **more)
        self.run()
        for entry in self.hall.entries():
            if isinstance(entry, ObjectNote):
                self.notes[entry.object_id] = entry
        return answered

    def make_batch(self):
        return self.end(self.ask("/v1/batches", BATCH), {"id": "batch_1"})

    def look(self, body=DONE):
        return self.end(self.ask("/v1/batches/batch_1", method="GET"), body)

    def comes_to(self, spent, aside):
        """Whether the books come to it, once all is told."""
        for _ in range(200):
            states = self.source.ledger.states(int(time.time() * 1e6))
            if [(state.spent, state.reserved + state.held) for state in states] == [(spent, aside)]:
                return True
            self.run(0.05)
        return False


@pytest.fixture
def desk(hall):
    desk = Desk(hall)
    yield desk
    hall.loop.run_until_complete(hall.wallet.close())
    desk.source.books.close()


def test_what_a_batch_can_cost_is_set_aside_till_it_ends_and_then_what_it_did_cost_counts(desk):
    desk.serve(day_pico=BOUND + 10)
    assert desk.make_batch().status == 200
    assert desk.comes_to(0, BOUND)
    desk.look({"id": "batch_1", "status": "in_progress"})
    assert desk.comes_to(0, BOUND)
    for _ in range(2):
        desk.look()
    assert desk.comes_to(COST, 0)


def test_who_made_a_batch_may_die_and_another_settles_it(desk):
    desk.serve(worker="one", day_pico=BOUND)
    desk.make_batch()
    desk.hall.loop.run_until_complete(desk.hall.wallet.close())
    desk.serve(worker="two", day_pico=BOUND)
    desk.look()
    assert desk.comes_to(COST, 0)


@pytest.mark.parametrize("made", [True, False])
def test_a_batch_that_a_budget_has_no_room_for_is_refused(desk, made, monkeypatch):
    monkeypatch.setattr(admitting, "LONGEST_WAIT_S", 0.1)
    desk.serve(day_pico=2 * BOUND - 1 if made else BOUND - 1)
    if made:
        desk.make_batch()
    refused = desk.ask("/v1/batches", BATCH)
    for _ in range(100):
        if not refused.status:
            desk.run(0.1)
    assert (refused.status, refused.error["code"]) == (429, "budget_exceeded")


@pytest.mark.parametrize("models", ["", "?", "m", write_models([ModelLines("m", 10)])])
def test_a_batch_whose_lines_nobody_has_read_is_refused_under_a_hard_budget_and_counts_under_a_soft_one(desk, models):
    desk.own("file-1", "file", models=models)
    desk.serve(day_pico=10**12)
    refused = desk.ask("/v1/batches", BATCH)
    assert (refused.status, refused.error["code"]) == (403, "budget_cannot_bound")
    assert "/v1/files" in refused.error["message"]

    desk.serve(worker="soft", day_pico=10**12, is_hard=False)
    assert desk.make_batch().status == 200
    desk.look()
    assert desk.comes_to(COST, 0)


def test_of_a_batch_that_the_provider_refuses_nothing_stays_set_aside(desk):
    desk.serve(day_pico=BOUND)
    desk.end(desk.ask("/v1/batches", BATCH), {"error": {"message": "no"}}, status=400)
    assert desk.make_batch().status == 200


@pytest.mark.parametrize(("kind", "counts"), [(FailureKind.BROKEN, True), (FailureKind.UNREACHABLE, False)])
def test_a_batch_of_which_nobody_knows_whether_it_was_made_counts(desk, kind, counts):
    desk.serve(day_pico=BOUND)
    desk.ask("/v1/batches", BATCH)
    desk.hall.flight.sink.on_failure(Failure(kind, "it ended"))
    assert desk.comes_to(BOUND if counts else 0, 0)


def test_what_a_batch_cost_that_does_not_say_so_is_all_that_was_set_aside(desk):
    desk.serve(day_pico=BOUND)
    desk.make_batch()
    desk.look(DONE | {"usage": None})
    assert desk.comes_to(BOUND, 0)


def test_while_the_books_are_away_a_batch_is_not_settled_but_when_it_is_seen_again(desk):
    desk.serve(day_pico=BOUND)
    desk.make_batch()
    desk.source.is_away = True
    desk.look()
    assert desk.notes["batch_1"].label == "budgeted"
    desk.source.is_away = False
    desk.look()
    assert desk.comes_to(COST, 0)


@pytest.mark.parametrize(
    ("fields", "is_bounded"),
    [
        (JOB, True),
        (JOB | {"hyperparameters": {"n_epochs": "auto"}}, False),
        (
            {"model": "m", "training_file": "file-1"}
            | {"method": {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 3}}}},
            True,
        ),
        (JOB | {"method": {"type": "reinforcement"}}, False),
        (JOB | {"training_file": "file-9"}, False),
    ],
)
def test_a_fine_tuning_job_is_bounded_by_its_file_and_its_passes(desk, fields, is_bounded):
    desk.own("file-1", "file", label="fine-tune", models=write_models([ModelLines("", 0, 5_000, 0, 0)]))
    desk.serve(day_pico=5_000 * 3 * 25)
    answered = desk.ask("/v1/fine_tuning/jobs", fields)
    if not is_bounded:
        assert answered.error["code"] == "budget_cannot_bound"
        assert "n_epochs" in answered.error["message"]
        return
    desk.end(answered, {"id": "ftjob-1"})
    assert desk.comes_to(0, 5_000 * 3 * 25)
    done = {"id": "ftjob-1", "status": "succeeded", "model": "m", "trained_tokens": 4_000}
    desk.end(desk.ask("/v1/fine_tuning/jobs/ftjob-1", method="GET"), done)
    assert desk.comes_to(4_000 * 25, 0)


@pytest.mark.parametrize("is_hard", [True, False])
def test_a_run_of_the_provider_s_own_evals_is_refused_under_a_hard_budget(desk, is_hard):
    desk.own("eval_1", "eval")
    desk.serve(day_pico=10**12, is_hard=is_hard)
    answered = desk.ask("/v1/evals/eval_1/runs", {"name": "x"})
    if is_hard:
        assert answered.error["code"] == "budget_cannot_bound"
    else:
        assert desk.end(answered, {"id": "evalrun_1"}).status == 200


def test_an_upload_tells_what_its_lines_can_take_at_most(desk):
    desk.serve(day_pico=10**12)
    line = json.dumps({"url": "/v1/responses", "body": {"model": "m", "input": "x", "max_output_tokens": 9}}).encode()
    form = (
        b'--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        b'--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n' + line + b"\n\r\n--b--\r\n"
    )
    answered = desk.hall.ask("/v1/files", form, turns=6, content_type="multipart/form-data; boundary=b")
    desk.end(answered, {"id": "file-2"})
    assert desk.notes["file-2"].models == write_models([ModelLines("m", 1, 1024 + len(line), 9, 1024 + len(line), 0)])


def test_a_cache_that_costs_by_the_hour_is_not_made_under_a_hard_budget_and_is_under_a_soft_one(desk):
    body = {"model": "pooled/p", "contents": []}
    desk.serve(day_pico=10**12)
    refused = desk.ask("/v1beta/cachedContents", body)
    assert (refused.status, "budget" in refused.error["message"]) == (403, True)

    desk.serve(worker="soft", day_pico=10**12, is_hard=False)
    made = desk.end(desk.ask("/v1beta/cachedContents", body), {"name": "cachedContents/c"})
    assert made.status == 200
    assert desk.comes_to(0, 0)
