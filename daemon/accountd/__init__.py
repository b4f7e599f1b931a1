"""One owner of ChatGPT account logins for every client on a machine.

Imports go down only; each floor knows those below it and nothing above. A room stands where most of it does; a
module of it that stands higher is named:

street    cli · sandbox · doctor                 what people run: clients of the socket, a stand-in issuer
roof      daemon · listeners · signals · services · reload · front      nests lifetimes, builds all
doors     server · client                        the socket seen from inside, and from outside
services  supervisor · hub · audit · account · accounts · requirements.service · login      what lives
outside   rpc · system · web · backend.client · storage · switchers ·
          audit.file · requirements.file         one foreign thing a file
paper     protocol · framing · oauth · backend · requirements · foreign_json ·
          page_templates                         bytes and values in and out
ground    errors · installation · unforeseen · secret · redaction · files · config · codex · paths · counters · logs
"""

__version__ = "0.1.0"
