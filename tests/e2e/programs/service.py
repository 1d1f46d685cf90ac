"""
A service that calls a model on behalf of whoever asks, under the budget that the request carries.
"""

import asyncio

from calls import acall, call
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import solvent

solvent.install()


async def coroutine(request: Request) -> JSONResponse:
    try:
        budget = solvent.resume(request.headers)
        async with budget:
            return JSONResponse(await acall())
    except ValueError as error:
        return JSONResponse(f"{type(error).__name__}: {error}", 400)


def plain(request: Request) -> JSONResponse:
    with solvent.resume(request.headers):
        return JSONResponse(call())


async def further(request: Request) -> JSONResponse:
    """
    A step of this service's own, with a limit of its own.
    """
    async with solvent.resume(request.headers), solvent.step("further", calls=1):
        return JSONResponse(await asyncio.gather(acall(), acall()))


app = Starlette(
    routes=[
        Route("/async", coroutine, methods=["POST"]),
        Route("/sync", plain, methods=["POST"]),
        Route("/further", further, methods=["POST"]),
    ]
)
