"""AMD SEV-SNP with a virtual TPM, as Constellation's nodes on Azure prove it in their TLS certificate."""
