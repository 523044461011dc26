"""`prio-load-balancer explain`: what becomes of a request, and why."""

import os
import secrets
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_address
from typing import Final

from priolb.admin.api import is_own
from priolb.cli.nodes import InstanceError, add_instance, details_at, instance_of
from priolb.cli.options import OptionParser
from priolb.config.admission import callers_of, function_of, rules_of
from priolb.config.explanation import default_of, words_of, words_of_rule
from priolb.config.limits import limiter_of
from priolb.config.load import load_settings
from priolb.config.settings import Settings
from priolb.config.tables import Entry
from priolb.config.words import did_you_mean, escaped, shown
from priolb.errors import ClientError, ConfigError
from priolb.http.callers import Caller
from priolb.http.forwarding import Forwarding
from priolb.http.messages import RequestHead
from priolb.http.parser import parse_request_head
from priolb.http.request import BY_FUNCTION, Request
from priolb.net.front.door import Door, calls_of

_NAME: Final = "priolb"


def parser() -> OptionParser:
    """Return what parses the options."""
    options = OptionParser("explain", "Say which lane, rule, limits and nodes a request gets, and why.")
    options.add_list("header", "LINE", "a header field, such as 'X-Fast-Track: true'; may be given again")
    options.add_option("method", "METHOD", "its method, default POST", "POST")
    options.add_option("path", "PATH", "its path and query, default /", "/")
    options.add_option("peer", "ADDRESS", "the other end of its connection, default 127.0.0.1", "127.0.0.1")
    options.add_option("key", "NAME", "the API key that it has, by name: nobody here knows the secret")
    options.add_option("body", "TEXT", "its body, default none", "")
    options.add_option("config", "FILE", "the configuration file, default $CONFIG_FILE or priolb.toml")
    add_instance(options, without="none: then nothing is said of nodes")
    return options


def run(options: Namespace) -> int:
    """Explain and return the exit status: 1 when the instance that was named tells nothing of its nodes.

    Raises:
        ConfigError: the settings cannot be used, or what was given is no request.
    """
    settings = load_settings(["-config", options.config] if options.config else [], os.environ)
    if options.key is not None:
        settings = _with_secret(settings, options)
    body = options.body.encode(errors="surrogateescape")
    head = _head_of(settings, options, body)
    is_tunnel = bool(head.upgrade) and head.path == b"/"  # where nodes have their WebSockets
    if settings.admin_listen is None and is_own(head.method, head.path) and not is_tunnel:
        print("answered by the program itself: no lane, no limit and no node has to do with it")
        return 0
    lines = [*_request_lines(settings, options, head, body)]
    try:
        lines += _node_lines(settings, options)
    except InstanceError as error:
        print(f"prio-load-balancer: {error}", file=sys.stderr)
        return 1
    for line in lines:
        print(escaped(line))
    return 0


def _with_secret(settings: Settings, options: Namespace) -> Settings:
    """Return settings in which the key of that name has another secret, which the request then has."""
    policy, name = settings.policy, options.key
    if any(line.partition(":")[0].lower() == "x-api-key" for line in options.header):
        raise ConfigError("explain: --key and --header X-API-Key say both which key it has: give one of them")
    names = [key.name for key in policy.keys]
    if name not in names:
        raise ConfigError(f"explain: --key: there is no key {shown(name)}{did_you_mean(name, names)}")
    secret = secrets.token_urlsafe()
    digest = sha256(secret.encode()).digest()
    keys = tuple(replace(key, sha256=digest) if key.name == name else key for key in policy.keys)
    options.header = [*options.header, f"X-API-Key: {secret}"]
    return replace(settings, policy=replace(policy, keys=keys))


def _request_lines(settings: Settings, options: Namespace, head: RequestHead, body: bytes) -> Iterator[str]:
    """Return what is known of the request, and where it goes."""
    mistakes: list[str] = []
    function = function_of(settings, lambda mistake, *_: mistakes.append(mistake))
    door = Door(callers_of(settings), rules_of(settings), function)
    forwarding = Forwarding(_NAME, "http", tells_client=True, trusted=settings.trusted_proxies)
    request = door.decide(head, forwarding.peer(_address(options.peer)), body)
    yield f"client   {_client(settings, request.caller)}"
    yield f"tenant   {request.caller.tenant.decode('latin-1')}"
    rpc = request.rpc()
    if rpc is not None:
        calls = ", ".join(name.decode() for name in rpc.names) or "nothing"
        rest = "" if rpc.is_all else ", and what cannot be read"
        yield f"calls    {calls}{rest}{' (a batch)' if rpc.is_batch else ''}"
    for mistake in mistakes:
        yield f"function {settings.lane_function} fails: {mistake}"
    yield f"rule     {_rule(settings, request)}"
    lanes = settings.lanes
    if request.wanted != request.lane:
        yield f"access   {lanes[request.wanted].name} is not allowed to it"
    yield f"lane     {request.lane + 1} of {len(lanes)}: {words_of(settings, lanes[request.lane])}"
    yield from _limit_lines(settings, request)


def _limit_lines(settings: Settings, request: Request) -> Iterator[str]:
    """Return the limits that concern it, with whose requests it counts there, and for how much."""
    limiter = limiter_of(settings)
    if limiter is None:
        return
    lane = settings.lanes[request.lane].name.encode()
    for limit, rule in zip(settings.policy.limits, limiter.rules, strict=True):
        who = rule.whose(request.caller, lane)
        if who:
            cost = 1 if rule.costs is None else rule.costs.of(calls_of(request))
            counts = f"it counts for {cost} with all of {who.decode()}"
            yield f"limit    {words_of(settings, limit)} ({_place(settings, limit)}); {counts}"


def _client(settings: Settings, caller: Caller) -> str:
    network, key = caller.network.decode(), caller.key.decode()
    networks = {str(each.cidr): each for each in settings.policy.networks}
    keys = {each.name: each for each in settings.policy.keys}
    parts = [caller.address or "of an unknown address"]
    if network:
        parts.append(f"network {network} ({_place(settings, networks[network])})")
    parts.append(f"key {key} ({_place(settings, keys[key])})" if key else "no key")
    return ", ".join(parts)


def _rule(settings: Settings, request: Request) -> str:
    if request.rule >= 0:
        rule = settings.policy.rules[request.rule]
        return f"{request.rule + 1} ({_place(settings, rule)}): {words_of_rule(rule)}"
    if request.rule == BY_FUNCTION:
        return f"LANE_FUNCTION {settings.lane_function} -> {settings.lanes[request.wanted].name}"
    return f"none -> {default_of(settings)}"


def _place(settings: Settings, entry: Entry) -> str:
    return f"{settings.config_file}:{entry.place.line_of()}"


def _node_lines(settings: Settings, options: Namespace) -> Iterator[str]:
    """Return which nodes could serve it: those of the running instance that was named, else of the settings.

    Raises:
        InstanceError: that instance does not tell.
    """
    if options.url is None and not os.environ.get("PRIOLB_URL"):
        for uri in (*settings.nodes, *settings.backends):
            yield f"node     {uri}, as it is configured; --url asks a running instance"
        return
    for detail in details_at(*instance_of(options)):
        reason = detail.get("reason")
        yield f"node     {detail.get('uri')}: {detail.get('state')}{f', {reason}' if reason else ''}"


def _head_of(settings: Settings, options: Namespace, body: bytes) -> RequestHead:
    """Return the head of the request, as it would be read from its connection.

    Raises:
        ConfigError: it would be refused.
    """
    lines = [f"{options.method} {options.path} HTTP/1.1", *options.header]
    if not all(line.isprintable() for line in lines):
        raise ConfigError("explain: a header, the method or the path has control characters")
    for line in options.header:
        if not line.partition(":")[1]:
            raise ConfigError(f"explain: --header: {shown(line)} is no 'NAME: VALUE'")
    names = {line.partition(":")[0].lower() for line in options.header}
    if "host" not in names:
        lines.append(f"Host: {_NAME}")
    if body and names.isdisjoint({"content-length", "transfer-encoding"}):
        lines.append(f"Content-Length: {len(body)}")
    raw = "\r\n".join([*lines, "", ""]).encode()
    if len(raw) > settings.head_max_kb * 1024:
        raise ConfigError(f"explain: the head is longer than HEAD_MAX_KB ({settings.head_max_kb})")
    try:
        return parse_request_head(raw, settings.head_max_fields)
    except ClientError as error:
        raise ConfigError(f"explain: {error}") from None


def _address(text: str) -> str:
    try:
        return str(ip_address(text)) if text else ""
    except ValueError:
        raise ConfigError(f"explain: --peer: {shown(text)} is no address") from None
