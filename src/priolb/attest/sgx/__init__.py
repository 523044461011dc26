"""Intel SGX, as Gramine's RA-TLS proves it in the TLS certificate of an enclave."""
