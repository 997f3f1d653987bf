"""What a sorted ticket must mean, beyond its form. Each function is one rule; its docstring is for people."""

from headworks.screening import Verdict

TEAMS = {
    "billing": "finance",
    "access": "support",
    "how_to": "support",
    "bug": "engineering",
    "cancellation": "success",
    "other": "support",
}


def team_of_category(output, context) -> Verdict:
    """A ticket goes to the team that answers for its category: the desk's routing table, not the model's taste."""
    team = TEAMS[output["category"]]
    if output["team"] != team:
        return Verdict.repair(f"a ticket of category {output['category']} goes to the team {team}")
    return Verdict.ok()


def enterprise_is_seen_today(output, context) -> Verdict:
    """A customer on the enterprise plan has been promised an answer within a working day: urgency 2 at least."""
    if context["variables"].get("plan") == "enterprise" and output["urgency"] < 2:
        return Verdict.repair("a ticket of an enterprise customer has urgency 2 at least")
    return Verdict.ok()


def order_stands_in_ticket(output, context) -> Verdict:
    """An order number that the customer did not write is made up, and must not reach the order system."""
    order = output["order"]
    if order is not None and order not in context["variables"].get("ticket", ""):
        return Verdict.block("the order number does not stand in the ticket")
    return Verdict.ok()
