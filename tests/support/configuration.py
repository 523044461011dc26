"""What a configuration file says."""

from priolb.config.document import parse_document
from priolb.config.load import settings_in
from priolb.config.settings import Settings


def settings_of(text: str) -> Settings:
    return Settings(**settings_in(parse_document("f", text.encode())))
