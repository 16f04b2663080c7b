"""The config: connections and credentials by reference, limits, where state and reports go.

Read from one YAML file and from the environment (`ORCHESTRATOR_` and `__` for nesting), which wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from orchestrator import validation, yamltext
from orchestrator.errors import Fault, InvalidInput
from orchestrator.references import LITERAL
from orchestrator.service import Cloud, Decisive, Limits
from orchestrator.validation import Place, Strict, suggestion

ENVIRONMENT = "ORCHESTRATOR_"


def _reference(value: str) -> str:
    kind, _, name = value.partition(":")
    if kind not in ("env", "file") or not name:
        raise ValueError(LITERAL)
    return value


def _url(value: str) -> str:
    from yarl import URL

    try:
        url = URL(value)
    except ValueError:
        raise ValueError("should be a URL such as https://10.0.0.5:20009") from None
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
        raise ValueError("should be a URL such as https://10.0.0.5:20009")
    if url.user or url.password:
        raise ValueError("has a user or a password in it; credentials go into auth")
    return value.rstrip("/")


Reference = Annotated[str, AfterValidator(_reference)]
Url = Annotated[str, AfterValidator(_url)]


class AkSk(Strict):
    """An access key and its secret; with `security_token` a temporary one."""

    type: Literal["aksk"]
    access_key: Reference
    secret_key: Reference
    security_token: Reference | None = None


class IamToken(Strict):
    """A token got by password, from the cloud's IAM or from the connection's `endpoints.iam`."""

    type: Literal["iam-token"]
    user: str | None = None
    user_id: str | None = None
    domain: str | None = None
    password: Reference
    scope: Literal["project", "domain"] = "project"
    revoke: bool | None = Field(
        None, description="revoke the token at exit; true by default, and harmless where the cloud cannot"
    )

    @model_validator(mode="after")
    def _who(self) -> IamToken:
        if self.user_id is None and (self.user is None or self.domain is None):
            raise ValueError("needs user and domain, or user_id")
        return self


class Bearer(Strict):
    """A token that goes into `Authorization: Bearer`."""

    type: Literal["bearer"]
    token: Reference


class Basic(Strict):
    """A user and a password that go with every call."""

    type: Literal["basic"]
    user: str
    password: Reference


class Cookie(Strict):
    """Cookies that go with every call."""

    type: Literal["cookie"]
    cookies: dict[str, Reference] = Field(min_length=1)


class NoAuth(Strict):
    """No credential: the target itself carries what is needed."""

    type: Literal["none"]


Auth = Annotated[AkSk | IamToken | Bearer | Basic | Cookie | NoAuth, Field(discriminator="type")]


class Tls(Strict):
    """Whom to trust: a CA file, one certificate's SHA-256, or (said out loud) anybody."""

    ca_file: Path | None = None
    fingerprint: str | None = Field(None, pattern=r"^[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}$")
    insecure: bool = False


class Connection(Strict):
    """Where, and as whom."""

    cloud: Cloud | None = None
    region: str | None = Field(None, pattern=r"^[a-z0-9]+(?:-[a-z0-9]+)*$")
    endpoint: Url | None = Field(None, description="the base URL of every service, instead of the cloud's hosts")
    endpoints: dict[str, Url] = Field({}, description="the base URL of single hosts: iam, dcs, workspace, ...")
    project_id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    project: str | None = Field(None, description="the project's name for an IAM token; the region's by default")
    tls: Tls = Tls()
    proxy: Url | None = None
    auth: Auth

    @model_validator(mode="after")
    def _somewhere(self) -> Connection:
        if self.cloud is None and self.endpoint is None and not self.endpoints:
            raise ValueError("needs cloud and region, or an endpoint")
        if self.cloud is not None and self.region is None:
            raise ValueError("has a cloud and no region")
        return self


class ServiceSettings(Strict):
    """What a deployment has learned about a service that its documentation does not say."""

    already_ended: tuple[Decisive, ...] = Field((), description="answers that mean that there was no session to end")


class Logging(Strict):
    """How the program talks on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    format: Literal["console", "json"] = "console"


class Config(BaseSettings):
    """Everything a config can say; the environment is over the file."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT, env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    state_dir: Path = Path(".orchestrator")
    report_dir: Path = Path("reports")
    connections: dict[str, Connection] = {}
    limits: dict[str, Limits] = Field({}, description="per service, or per connection/service; over the catalogue's")
    services: dict[str, ServiceSettings] = {}
    catalogue: tuple[Path, ...] = Field((), description="folders with more service descriptions")
    log: Logging = Logging()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment over the file, which arrives as arguments."""
        return env_settings, init_settings


class ConfigFile:
    """A config as read: its values, where it came from, and the folder that its paths are relative to."""

    def __init__(self, path: Path | None, text: str, config: Config) -> None:
        self.path = path
        self.config = config
        self.folder = path.resolve().parent if path else Path.cwd()
        self._text = text

    @property
    def source(self) -> str:
        """Return the name of the config for messages."""
        return str(self.path) if self.path else "the config (no file was found; --config names one)"

    @property
    def state_dir(self) -> Path:
        """Return the folder of journal and locks."""
        return self.folder / self.config.state_dir

    @property
    def report_dir(self) -> Path:
        """Return the folder of the reports."""
        return self.folder / self.config.report_dir

    def faults(self, found: Iterable[tuple[Place, str]]) -> list[Fault]:
        """Return faults with the lines of the file for (path, message) pairs."""
        return validation.at_lines(found, self._text, self.source)


def find(given: str | None, environment: Mapping[str, str]) -> Path | None:
    """Return the config file: the one given, ORCHESTRATOR_CONFIG, ./config.yaml, the user's config folder, or none."""
    named = given or environment.get(ENVIRONMENT + "CONFIG")
    if named:
        return Path(named)
    home = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    candidates = [Path("config.yaml"), home / "orchestrator" / "config.yaml"]
    return next((path for path in candidates if path.is_file()), None)


def load(path: Path | None, environment: Mapping[str, str]) -> ConfigFile:
    """Read the config file and the environment; raise InvalidInput with every fault and its line."""
    text = validation.read_text(path) if path else ""
    source = str(path) if path else "the environment"
    document = yamltext.load(text, source) if text.strip() else {}
    faults = [
        Fault(f"environment variable {name}", f"there is no such setting{suggestion(_key(name), Config.model_fields)}")
        for name in environment
        if name.startswith(ENVIRONMENT) and name != ENVIRONMENT + "CONFIG" and _key(name) not in Config.model_fields
    ]
    try:
        config = Config(**document)
    except ValidationError as error:
        faults += validation.faults_of(error, Config, document, text, source, _variable(environment))
    except SettingsError as error:
        faults.append(Fault("the environment", str(error)))
    if faults:
        raise InvalidInput(faults)
    return ConfigFile(path, text, config)


def _key(name: str) -> str:
    return name.removeprefix(ENVIRONMENT).split("__")[0].lower()


def _variable(environment: Mapping[str, str]) -> Callable[[Place], str | None]:
    """Return the function that names the environment variable from which the value at a place came, if any."""
    names = {name.upper(): name for name in environment}

    def name(place: Place) -> str | None:
        found = names.get(ENVIRONMENT + "__".join(map(str, place)).upper())
        return f"environment variable {found}" if found else None

    return name
