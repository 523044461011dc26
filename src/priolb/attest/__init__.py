"""Nodes that prove what they run: verdicts on evidence, and the TLS context that asks for one.

evidence in, verdict out      verdict, der, certificate, signatures, sev/*, sgx/*: pure, `now` is an argument
what a node is held to        expectation (from its URI), sev.policy, sgx.policy
at the handshake              context: no byte leaves before the verdict
one node, and all of them     attestation, attestors
collateral of Intel           sgx.library keeps in memory what sgx.sources fetch, off the handshake
"""
