"""Write the software bill of materials of the base install: CycloneDX 1.6, JSON.

    .venv/bin/python tools/sbom.py --output dist/headworks.cdx.json

It names Headworks, every package that requirements/run.txt pins, who needs whom, licences as the packages state them,
and the hashes of every file that may be installed for a pin. What the package carries of others (the price data of
genai-prices) is a component too. The same commit gives the same bytes: the time is that of SOURCE_DATE_EPOCH or of
the commit, and the serial number is made from the content.
"""

import argparse
import importlib.metadata
import json
import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from headworks import __version__

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "src" / "headworks" / "catalogue" / "data" / "catalogue.json"


def pins(text: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Version and SHA-256 hashes by name, of a requirements file that `make locks` wrote."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for entry in text.replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.startswith("#"):
            continue
        requirement = Requirement(re.split(r"\s--hash", entry, maxsplit=1)[0])
        (specifier,) = requirement.specifier
        name = canonicalize_name(requirement.name)
        found[name] = (specifier.version, tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)))
    return found


def bill(when: datetime) -> Bom:
    """The bill of the base install, as this environment and requirements/run.txt have it."""
    locked = pins((ROOT / "requirements" / "run.txt").read_text("utf-8"))
    root = Component(
        name="headworks", version=__version__, type=ComponentType.APPLICATION, bom_ref=f"headworks=={__version__}"
    )
    parts = {name: _package(name, version, hashes) for name, (version, hashes) in locked.items()}
    bom = Bom(components=[*parts.values(), _price_data()])
    bom.metadata.component = root
    bom.metadata.timestamp = when
    needed = [Requirement(text) for text in importlib.metadata.requires("headworks") or ()]
    bom.register_dependency(root, [parts[name] for name in _names(needed) if name in parts])
    for name, part in parts.items():
        bom.register_dependency(part, [parts[other] for other in _needs(name) if other in parts])
    refs = sorted(component.bom_ref.value or "" for component in bom.components)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join((root.bom_ref.value or "", *refs)))
    return bom


def _package(name: str, version: str, hashes: Iterable[str]) -> Component:
    url = PackageURL("pypi", name=name, version=version)
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(str(url)),
        comment="Every file of this release that requirements/run.txt allows.",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in hashes],
    )
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        purl=url,
        bom_ref=f"{name}=={version}",
        licenses=[_licence(name)],
        external_references=[files],
    )


def _price_data() -> Component:
    """What src/headworks/catalogue/data carries of genai-prices."""
    source = json.loads(CATALOGUE.read_text("utf-8"))["sources"]["genai-prices"]
    version = source["title"].rpartition(" ")[2]
    return Component(
        name="genai-prices-data",
        version=version,
        type=ComponentType.DATA,
        bom_ref=f"genai-prices-data=={version}",
        licenses=[LicenseExpression(source["licence"])],
        external_references=[ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(source["url"]))],
    )


def _licence(name: str) -> License:
    about = importlib.metadata.metadata(name)
    if about.get("License-Expression"):
        return LicenseExpression(about["License-Expression"])
    stated = about.get("License", "").strip().splitlines()
    classifiers = [text.rpartition(" :: ")[2] for text in about.get_all("Classifier") or () if "License ::" in text]
    return DisjunctiveLicense(name=(stated or classifiers or ["not stated"])[0])


def _needs(name: str) -> Iterator[str]:
    return _names(Requirement(text) for text in importlib.metadata.requires(name) or ())


def _names(requirements: Iterable[Requirement]) -> Iterator[str]:
    """Of what is needed without any extra, on whatever platform and version."""
    return (canonicalize_name(each.name) for each in requirements if "extra" not in str(each.marker or ""))


def main() -> None:
    from reproduce import commit_time_s  # a neighbour

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    output: Path = parser.parse_args().output
    output.parent.mkdir(parents=True, exist_ok=True)
    bom = bill(datetime.fromtimestamp(commit_time_s(), UTC))
    output.write_text(JsonV1Dot6(bom).output_as_string(indent=2) + "\n", "utf-8")
    print(f"{output}: {len(bom.components)} components")


if __name__ == "__main__":
    main()
