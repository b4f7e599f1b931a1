"""A stand-in for the issuer and the backend, with real pages: for demos, tests, and authors of clients.

routes        THE table of what it answers, and `Sandbox`; start here
issuer        codes and tokens                   script        what it shall do: every knob
backend       the ChatGPT API                    state         what it has issued, and to whom
workspaces    those of a person, there           config        what leads a client of it there
model         the model of turns
verification  /codex/device, the person's side   consent       /oauth/authorize, the person's side
control       /sandbox/…, the script's side      authorization what an app asks for there
panel         /sandbox, for a person             switches      what can be made to go wrong there
pages         the HTML of all                    server        the only file with a socket
"""

from accountd.sandbox.message import ConnectionDropped, Request, Response
from accountd.sandbox.routes import Sandbox
from accountd.sandbox.script import Claims, Fault, Script, Workspace
from accountd.sandbox.state import Event

__all__ = [
    "Claims",
    "ConnectionDropped",
    "Event",
    "Fault",
    "Request",
    "Response",
    "Sandbox",
    "Script",
    "Workspace",
]
