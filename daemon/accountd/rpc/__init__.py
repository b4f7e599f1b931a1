"""JSON-RPC in both directions over a stream and a framing: ids, pending requests, order, and the way out."""
