"""Which secrets a project names: its providers', and those that a start needs."""

from collections.abc import Iterator

from headworks.config import Project, is_local_reference, is_reference


def references_of(project: Project) -> tuple[str, ...]:
    """Each once, but for those of the environment, which cannot change while a process runs, and for files that only a
    start needs."""
    found = (reference for name in project.config.providers for reference in references_of_provider(project, name))
    kept = (reference for reference in references_of_start(project) if not is_local_reference(reference))
    return tuple(dict.fromkeys([*(one for one in found if not one.startswith("env:")), *kept]))


def references_of_providers(project: Project) -> tuple[str, ...]:
    """Those that calls are made with, each once, of whichever kind."""
    return tuple(
        dict.fromkeys(one for name in project.config.providers for one in references_of_provider(project, name))
    )


def in_the_environment(project: Project) -> tuple[str, ...]:
    """Those that are read from the environment, each once."""
    providers = (reference for name in project.config.providers for reference in references_of_provider(project, name))
    found = (*references_of_start(project), *providers)
    return tuple(dict.fromkeys(reference for reference in found if reference.startswith("env:")))


def references_of_managers(project: Project) -> tuple[str, ...]:
    """What secret managers are signed in to with, where the configuration says so: who has it has all that they keep
    for us."""
    vault, azure = project.config.secrets.vault, project.config.secrets.azure
    found = (vault.token, vault.role_id, vault.secret_id, azure.client_secret)
    return tuple(one for one in found if one is not None)


def references_of_start(project: Project) -> Iterator[str]:
    """What is read once, at the start: what keys are hashed under, what opens the store, the shared books, the log."""
    config = project.config
    yield config.access.secret
    audit = config.audit
    for reference in (config.records.store_password, config.quotas.valkey, audit.key, *audit.previous_keys):
        if reference is not None:
            yield reference


def references_of_provider(project: Project, name: str) -> Iterator[str]:
    """Those of one provider, of every kind: its keys, its pools', its headers'."""
    provider = project.config.providers[name]
    yield from (*([provider.api_key] if provider.api_key else []), *provider.older_api_keys)
    signing = (provider.access_key_id, provider.secret_access_key, provider.session_token)
    yield from (one for one in signing if one is not None)
    for pool in provider.pools.values():
        yield from (*([pool.api_key] if pool.api_key else []), *pool.older_api_keys)
    yield from (value for value in provider.headers.values() if is_reference(value))
