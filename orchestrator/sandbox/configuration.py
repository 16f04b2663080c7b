"""The config.yaml with which the program talks to a running sandbox."""

from __future__ import annotations

from orchestrator.sandbox.state import ACCESS_KEY, PASSWORD, PROJECT_ID, REGION, SECRET_KEY, USER, World

_TEXT = r"""# For the sandbox only. Its credentials are made up and well known; set them with
#   export SANDBOX_AK={access_key} SANDBOX_SK={secret_key} SANDBOX_PASSWORD={password}
state_dir: .orchestrator
report_dir: reports
connections:
  sandbox:
    endpoint: {url}
    region: {region}
    project_id: {project_id}
    auth: {{type: aksk, access_key: "env:SANDBOX_AK", secret_key: "env:SANDBOX_SK"}}
  sandbox-token:
    endpoint: {url}
    region: {region}
    project_id: {project_id}
    auth: {{type: iam-token, user: {user}, domain: {domain}, password: "env:SANDBOX_PASSWORD"}}
  manager:
    endpoint: {url}
    auth: {{type: none}}
services:
  # How the sandbox says that there was no session to end; of the real services it is not known.
  dcs.webcli: {{already_ended: [{{status: 400, code: "111400063"}}]}}
  das.builtin-account: {{already_ended: [{{status: 400, code: 'DAS\.200112'}}]}}
"""


def config_text(world: World, url: str) -> str:
    """Return the config for a sandbox at a URL."""
    return _TEXT.format(
        url=url,
        region=REGION,
        project_id=PROJECT_ID,
        domain=world.iam.domain,
        user=USER,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        password=PASSWORD,
    )
