"""One owner of ChatGPT account logins for every client on a machine.

Imports go down only; each floor knows those below it and nothing above:

street    cli · sandbox · diagnosis              what people run: clients of the socket, a stand-in issuer
roof      daemon · signals · reload              builds everything, nests the lifetimes; changes what it can
doors     server · client                        the socket seen from inside, and from outside
services  supervisor · hub · audit · account · usage · requirements · requirements_file · login   what lives
outside   adapters · storage                     one foreign thing a file
paper     protocol · framing · oauth · policy · foreign_json      bytes and values in, bytes and values out
ground    errors · unforeseen · secret · redaction · files · urls · toml · limits · config · paths · safe_path ·
          users · environment · identity · counters · logs
"""

__version__ = "0.1.0"

CODEX_VERSION = "0.171.0"
"""The release of the Codex app-server whose account protocol this package speaks."""
