"""List, show and compare models and their prices; count tokens; renew the catalogue.

The catalogue knows models, prices, context windows and shutdown dates; it comes with the release and needs no network.
Prices are those that hold for this project: list prices, less what headworks.yaml says under `prices`. Without a
headworks.yaml they are the list prices. All are in US dollars, per million tokens where nothing else is said.

NAME is a model as callers send it (a public name, or provider/model), a tier's role, a model of the catalogue
(openai/gpt-6-luna), or a model's name alone. A dated name means the model that it is a snapshot of.
"""

import argparse
import re
from decimal import Decimal
from pathlib import Path

_CONFIG = Path("headworks.yaml")

_SIGNING = """A catalogue is only installed when one of the trusted keys has signed it (Ed25519): those of
`prices.update_keys` in headworks.yaml, and those given with --key. The signature is base64 text in a file of the
catalogue's name with .sig at the end; `openssl pkeyutl -sign -rawin -inkey key.pem -in FILE | base64` makes one. The
catalogue that comes with the release needs none. What was in use before is kept, for calls that were charged by it and
for --restore. Running workers take the new prices at their next start or reload."""


_CALIBRATION = """The newest 2,000 calls are counted that were answered at the first attempt and whose content is
kept; nothing of it is shown."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands and their flags."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    _list_arguments(_action(commands, "list", "List models with their prices, the project's own providers first"))

    show = _action(commands, "show", "Show all that is known of a model: every price, with its source")
    show.add_argument("name", metavar="NAME", help="the model")

    _compare_arguments(_action(commands, "compare", "Say what calls of a size cost with each of some models"))

    counted = _action(commands, "tokens", "Count the tokens of a request or a text for a model, without a network")
    counted.add_argument("name", metavar="NAME", help="the model")
    counted.add_argument("file", type=Path, metavar="FILE", help="a request's body, or a text; - is standard input")

    calibration = _action(
        commands, "calibration", "Hold counted input tokens against what providers billed, model by model", _CALIBRATION
    )
    calibration.add_argument(
        "--days", type=_count, default=30, metavar="N", help="calls of so many days. Default: %(default)s"
    )

    _action(commands, "providers", "List the providers that the catalogue knows")

    _action(commands, "versions", "List the price tables that are kept, and which one is in use")

    _update_arguments(
        _action(
            commands,
            "update",
            "Install a newer catalogue, from a file or a URL",
            _SIGNING,
        )
    )


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    # Loaded here, and not for `headworks models --help`.
    from headworks.cli.model_offers import Offers

    offers = Offers.of(None if options.config == _CONFIG and not _CONFIG.exists() else options.config)
    match options.action:
        case "list":
            from headworks.cli.model_list import list_models

            list_models(offers, options)
        case "show":
            from headworks.cli.model_show import show_model

            show_model(offers, options)
        case "compare":
            from headworks.cli.model_compare import compare_models

            compare_models(offers, options)
        case "tokens":
            from headworks.cli.model_calibration import show_tokens

            show_tokens(offers, options)
        case "calibration":
            from headworks.cli.model_calibration import show_calibration

            show_calibration(offers, options)
        case "providers":
            from headworks.cli.model_list import list_providers

            list_providers(offers, options)
        case "versions":
            from headworks.cli.model_update import list_versions

            list_versions(offers, options)
        case _:
            from headworks.cli.model_update import update

            update(offers, options)
    return 0


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--provider", metavar="NAME", help="one provider only: of the project, or of the catalogue")
    parser.add_argument("--name", metavar="TEXT", help="models with this in their name")
    parser.add_argument(
        "--can",
        action="append",
        default=[],
        metavar="WORD",
        help="models that can do this, as `batch`. Can be repeated",
    )
    parser.add_argument("--max-input", type=_usd, metavar="USD", help="input costs at most so much")
    parser.add_argument("--max-output", type=_usd, metavar="USD", help="output costs at most so much")
    parser.add_argument("--context", type=_count, metavar="N", help="a context window of at least so many tokens")
    parser.add_argument("--retiring", type=_count, metavar="DAYS", help="models that are shut down within so many days")
    parser.add_argument("--sort", choices=("name", "price", "shutdown"), default="name", help="default: %(default)s")
    parser.add_argument(
        "--all", action="store_true", help="every provider of the catalogue, and models that are shut down already"
    )


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="+", metavar="NAME", help="the models")
    parser.add_argument("--input", type=_count, default=1000, metavar="N", help="tokens of input. Default: %(default)s")
    parser.add_argument("--cached", type=_count, default=0, metavar="N", help="of these, read from the prompt cache")
    parser.add_argument("--cache-write", type=_count, default=0, metavar="N", help="of these, written to it")
    parser.add_argument(
        "--output", type=_count, default=200, metavar="N", help="tokens of output. Default: %(default)s"
    )
    parser.add_argument("--reasoning", type=_count, default=0, metavar="N", help="of these, reasoning")
    parser.add_argument("--calls", type=_count, default=1, metavar="N", help="how many calls. Default: %(default)s")
    parser.add_argument(
        "--tier", default="standard", metavar="NAME", help="standard, batch, flex or priority. Default: %(default)s"
    )


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--file", type=Path, metavar="FILE", help="a catalogue's file")
    where.add_argument(
        "--url", metavar="URL", help="where the file is; its signature has the same URL with .sig. "
        "Default: `prices.update_url`",
    )  # fmt: skip
    where.add_argument(
        "--restore", metavar="VERSION", help="use a version that is kept, or `shipped`, and stay with it"
    )
    parser.add_argument("--signature", type=Path, metavar="FILE", help="the signature, where it is called otherwise")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEY",
        help="a public key that is trusted: base64, or a file with it (base64 or PEM). Can be repeated",
    )
    parser.add_argument("--older", action="store_true", help="install it although it is older than what is in use")


def _action(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, more: str = ""
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary}. {more}".strip())
    parser.add_argument("--config", type=Path, default=_CONFIG, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--json", action="store_true", help="print JSON, an object a line; amounts in pico-dollars")
    return parser


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9][0-9_]{0,14}", text):
        raise argparse.ArgumentTypeError("expected a whole number")
    return int(text)


def _usd(text: str) -> Decimal:
    from headworks.catalogue.money import decimal_usd

    try:
        return decimal_usd(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
