"""Which secrets a project's providers name."""

from collections.abc import Iterator

from headworks.config import Project, is_reference


def references_of(project: Project) -> tuple[str, ...]:
    """Each once, but for those of the environment, which cannot change while a process runs."""
    found = (reference for name in project.config.providers for reference in references_of_provider(project, name))
    return tuple(dict.fromkeys(one for one in found if not one.startswith("env:")))


def references_of_provider(project: Project, name: str) -> Iterator[str]:
    """Those of one provider, of every kind: its keys, its pools', its headers'."""
    provider = project.config.providers[name]
    yield from (*([provider.api_key] if provider.api_key else []), *provider.older_api_keys)
    signing = (provider.access_key_id, provider.secret_access_key, provider.session_token)
    yield from (one for one in signing if one is not None)
    for pool in provider.pools.values():
        yield from (*([pool.api_key] if pool.api_key else []), *pool.older_api_keys)
    yield from (value for value in provider.headers.values() if is_reference(value))
