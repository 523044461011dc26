"""web3.py as the client, anvil as the node."""

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from web3 import AsyncWeb3, HTTPProvider, Web3, WebSocketProvider
from web3.types import TxReceipt

from support.anvil import Anvil
from support.balancer import Balancer
from support.wire import PATIENCE_S

# A library of web3 lifts this limit, after which deep JSON would crash Python in the tests of others.
sys.setrecursionlimit(1000)

# With data: keep its first word. Without: return the word that is kept.
RUNTIME = bytes.fromhex("3615600c5760003560005500" + "5b60005460005260206000f3")
# Return the 24 bytes that stand behind these 12.
DEPLOYMENT = bytes.fromhex("6018600c60003960186000f3") + RUNTIME

ETHER = 10**18


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with Anvil() as anvil:
        yield anvil


@pytest.fixture
def web3(balancer: Balancer, anvil: Anvil) -> Web3:
    """A client of a balancer whose one node is anvil."""
    balancer.add_node(anvil.uri)
    provider = HTTPProvider(f"http://127.0.0.1:{balancer.port}", request_kwargs={"timeout": PATIENCE_S})
    return Web3(provider)


def send(web3: Web3, **transaction: object) -> TxReceipt:
    """Send a transaction of the first account and wait until it is in a block."""
    sent = web3.eth.send_transaction({"from": web3.eth.accounts[0], **transaction})  # type: ignore[typeddict-item]
    return web3.eth.wait_for_transaction_receipt(sent, timeout=PATIENCE_S)


def test_a_transfer(web3: Web3) -> None:
    assert web3.is_connected()
    receiver = list(web3.eth.accounts)[5]
    before = web3.eth.get_balance(receiver)
    receipt = send(web3, to=receiver, value=ETHER)
    assert receipt["status"] == 1
    assert web3.eth.get_balance(receiver) == before + ETHER
    assert web3.eth.get_transaction(receipt["transactionHash"])["value"] == ETHER


def test_a_contract_is_deployed_and_used(web3: Web3) -> None:
    address = send(web3, data=DEPLOYMENT)["contractAddress"]
    assert address is not None
    assert web3.eth.get_code(address) == RUNTIME
    assert int.from_bytes(web3.eth.call({"to": address})) == 0
    assert send(web3, to=address, data=(42).to_bytes(32))["status"] == 1
    assert int.from_bytes(web3.eth.call({"to": address})) == 42
    assert int.from_bytes(web3.eth.get_storage_at(address, 0)) == 42


def test_a_batch_is_answered_as_one(web3: Web3) -> None:
    accounts = web3.eth.accounts
    with web3.batch_requests() as batch:
        for account in accounts:
            batch.add(web3.eth.get_balance(account))
        batch.add(web3.eth.get_block(0))
        found: list[Any] = list(batch.execute())
    assert found[:-1] == [web3.eth.get_balance(account) for account in accounts]
    assert found[-1]["number"] == 0


def test_an_error_of_the_node_is_that_of_the_client(web3: Web3) -> None:
    with pytest.raises(Exception, match="Insufficient funds"):
        send(web3, to=list(web3.eth.accounts)[1], value=10**30)


def test_new_blocks_are_told_to_whoever_has_subscribed(balancer: Balancer, anvil: Anvil) -> None:
    balancer.add_node(anvil.uri)

    async def watch() -> None:
        async with (
            asyncio.timeout(2 * PATIENCE_S),
            AsyncWeb3(WebSocketProvider(f"ws://127.0.0.1:{balancer.port}")) as web3,
        ):
            await web3.eth.subscribe("newHeads")
            accounts = await web3.eth.accounts
            heads = web3.socket.process_subscriptions()
            for _ in range(3):
                sent = await web3.eth.send_transaction({"from": accounts[0], "to": accounts[1]})
                receipt = await web3.eth.wait_for_transaction_receipt(sent)
                told = await anext(heads)
                assert told["result"]["number"] == receipt["blockNumber"]

    asyncio.run(watch())
    assert balancer.wait_for("Request completed", statusCode=101)["requestTries"] == 1
