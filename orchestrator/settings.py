"""The config: connections and credentials by reference, limits, where state and reports go.

Read from one YAML file and from the environment (`ORCHESTRATOR_` and `__` for nesting), which wins.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from orchestrator import environment, validation, yamltext
from orchestrator.calling import Limits
from orchestrator.errors import Fault, InvalidInput
from orchestrator.reading import Telling
from orchestrator.references import as_written
from orchestrator.service import CLOUDS, Cloud
from orchestrator.units import Duration
from orchestrator.validation import Elsewhere, Form, MisfitError, Place, Strict, location, no_text


def _reference(value: str) -> str:
    return as_written(value).reveal()


def _url(value: str) -> str:
    from yarl import URL

    try:
        url = URL(value)
    except ValueError:
        raise ValueError(_NO_URL) from None
    if url.user or url.password:
        raise ValueError("has a user or a password in it; credentials go into auth")
    odd = not value.isprintable() or set(value) & set(" ?#{}")
    if odd or url.scheme not in ("http", "https") or not url.host:
        raise ValueError(_NO_URL)
    return value.rstrip("/")


_REGION = Form(r"^[a-z0-9]+(?:-[a-z0-9]+)*$", "should be a region such as eu-de")
_PROJECT_ID = Form(r"^[A-Za-z0-9_-]{1,64}$", "should be at most 64 letters, digits, '_' and '-'")
_FINGERPRINT = Form(
    r"^[0-9A-Fa-f]{2}(?::?[0-9A-Fa-f]{2}){31}$",
    "should be a certificate's SHA-256: 64 hexadecimal digits, with or without colons",
)
_NO_IAM = "needs the IAM that gives the token: write endpoints.iam, or endpoint, or cloud and region"
_NO_URL = "should be a URL such as https://10.0.0.5:20009"
Reference = Annotated[str, AfterValidator(_reference)]
Url = Annotated[str, AfterValidator(_url)]
Location = Annotated[Path, BeforeValidator(location)]


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
    def _who(self) -> Self:
        if not self.user_id and not (self.user and self.domain):
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


Auth = Annotated[
    Annotated[AkSk | IamToken | Bearer | Basic | Cookie | NoAuth, Field(discriminator="type")],
    BeforeValidator(no_text),
]


class Tls(Strict):
    """Whom to trust: a CA file, one certificate's SHA-256, or (said out loud) anybody."""

    ca_file: Location | None = None
    fingerprint: Annotated[str, _FINGERPRINT] | None = None
    insecure: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.ca_file is not None) + (self.fingerprint is not None) + self.insecure > 1:
            raise ValueError("needs at most one of ca_file, fingerprint and insecure; they rule each other out")
        return self


class Connection(Strict):
    """Where, and as whom."""

    cloud: Cloud | None = None
    region: Annotated[str, _REGION] | None = None
    endpoint: Url | None = Field(None, description="the base URL of every service, instead of the cloud's hosts")
    endpoints: dict[str, Url] = Field({}, description="the base URL of single hosts: iam, dcs, workspace, ...")
    project_id: Annotated[str, _PROJECT_ID] | None = None
    project: str | None = Field(None, description="the project's name for an IAM token; the region's by default")
    tls: Tls = Tls.model_construct()
    proxy: Url | None = None
    auth: Auth

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.cloud is None and self.endpoint is None and not self.endpoints:
            raise ValueError("needs cloud and region, or an endpoint")
        if self.cloud is not None and self.region is None:
            raise ValueError("has a cloud and no region")
        if self.auth.type == "iam-token" and not self.iam_url:
            raise MisfitError([(("auth",), _NO_IAM)])
        return self

    @property
    def iam_url(self) -> str:
        """Return where tokens come from, the empty string where nothing says that."""
        if given := self.endpoints.get("iam") or self.endpoint:
            return given
        return f"https://iam.{self.region}.{CLOUDS[self.cloud]}" if self.cloud else ""


class Looking(Strict):
    """When it is looked whether sessions are gone."""

    lag: Duration | None = Field(None, description="how long an effect takes to show at the least")
    deadline: Duration | None = Field(None, description="after so long what still lives is taken to live on")


class ServiceSettings(Strict):
    """What a deployment has learned about a service that its documentation does not say."""

    already_ended: tuple[Telling, ...] = Field((), description="answers that mean that there was no session to end")
    verify: Looking = Looking.model_construct()
    reads: Limits = Field(Limits.model_construct(), description="how hard its listings and read-backs may be asked")


class Logging(Strict):
    """How the program talks on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    format: Literal["console", "json"] = "console"


class Config(Strict):
    """Everything a config can say."""

    state_dir: Location = Path(".orchestrator")
    report_dir: Location = Path("reports")
    connections: dict[str, Connection] = {}
    limits: dict[str, Limits] = Field({}, description="per service, or per connection/service; over the catalogue's")
    services: dict[str, ServiceSettings] = {}
    catalogue: tuple[Location, ...] = Field((), description="folders with more service descriptions")
    log: Logging = Logging.model_construct()


class ConfigFile:
    """A config as read: its values, where it came from, and the folder that its paths are relative to.

    `elsewhere` tells which value the environment gave.
    """

    def __init__(self, path: Path | None, text: str, config: Config, elsewhere: Elsewhere) -> None:
        self.path = path
        self.config = config
        self.folder = path.resolve().parent if path else Path.cwd()
        self._text = text
        self._elsewhere = elsewhere

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
        """Return faults for (path, message) pairs: with the lines of the file, or the variable that gave the value."""
        pairs = list(dict.fromkeys(found))
        given = {pair: other for pair in pairs if (other := self._elsewhere(pair[0], False)) is not None}
        strange = [Fault(name, said, path=validation.dotted(place)) for (_, said), (name, place) in given.items()]
        return [*strange, *validation.at_lines([one for one in pairs if one not in given], self._text, self.source)]


def find(given: str | None, variables: Mapping[str, str]) -> Path | None:
    """Return the config file: the one given, ORCHESTRATOR_CONFIG, ./config.yaml, the user's config folder, or none."""
    named = given or variables.get(environment.FILE)
    if named:
        return Path(named)
    return next(filter(_is_there, _usual(variables)), None)


def _usual(variables: Mapping[str, str]) -> Iterator[Path]:
    yield Path("config.yaml")
    with suppress(RuntimeError):  # nobody has no home
        home = Path(variables.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        yield home / "orchestrator" / "config.yaml"


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the home of somebody else, most often: HOME outlives a change of user
        return False


def load(path: Path | None, variables: Mapping[str, str]) -> ConfigFile:
    """Read the config file and the environment; raise InvalidInput with every fault and its line."""
    text = validation.read_text(path) if path else ""
    source = str(path) if path else "the environment"
    form: list[Fault] = []
    document = yamltext.load(text, source, form) if text.strip() else {}
    faults = list(environment.misnamed(Config, variables))
    found: list[Fault] = []
    try:
        given = environment.read(Config, variables)
        faults += environment.unused(given, variables)
        elsewhere = environment.elsewhere(document, given, variables)
        config = Config(**_over(given, document))
    except ValidationError as error:
        found = validation.faults_of(error, Config, document, text, source, elsewhere)
    except ValueError:  # what pydantic-settings says of a part that is not JSON
        faults += environment.unreadable(Config, variables)
    faults += validation.together(form, found)
    if faults:
        raise InvalidInput(faults)
    return ConfigFile(path, text, config, elsewhere)


def _over(given: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with what the environment gives over it, mapping by mapping."""
    merged = {**document, **given}
    for name, value in given.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            merged[name] = _over(value, document[name])
    return merged
