"""Codes as EMV writes them: the published check of the sum, and what is no such code."""

import pytest

from bailiwick.channels.blocks.forms import emv

# Banco Central do Brasil, Manual de Padrões para Iniciação do Pix: its example of a static BR Code.
BR_CODE = (
    "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-426655440000"
    "5204000053039865802BR5913Fulano de Tal6008BRASILIA62070503***63041D3D"
)


def test_the_sum_of_the_usual_text() -> None:
    # The check value of CRC-16/CCITT-FALSE in the catalogue of parametrised CRC algorithms.
    assert emv.crc16(b"123456789") == 0x29B1
    assert emv.crc16(BR_CODE[:-4].encode()) == 0x1D3D


def test_the_fields_of_a_code() -> None:
    assert emv.code(BR_CODE, "986") == BR_CODE
    assert emv.code(BR_CODE, "840") is None
    found = emv.fields(BR_CODE)
    assert found is not None
    assert (found["53"], found["58"], found["59"]) == ("986", "BR", "Fulano de Tal")
    inner = emv.fields(found["26"])
    assert inner == {"00": "br.gov.bcb.pix", "01": "123e4567-e12b-12d1-a456-426655440000"}


def summed(text: str) -> str:
    return f"{text}6304{emv.crc16(text.encode() + b'6304'):04X}"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "63041D3D",
        BR_CODE[:-1],
        BR_CODE[:-4] + "1D3E",
        BR_CODE[:-4] + "1D3_",
        BR_CODE.replace("Fulano", "Fulana"),
        BR_CODE[1:],
        summed("0002015802BR5802BR"),
        summed("0002015899BR"),
        summed("0002015x02BR"),
        summed("0002015802B\n"),
        summed("000201" + "5899" + "x" * 99 + "".join(f"{n}99" + "y" * 99 for n in range(70, 75))),
    ],
)
def test_what_is_no_code(text: str | None) -> None:
    assert emv.code(text, "986") is None


def test_each_letter_is_covered_by_the_sum() -> None:
    for at in range(len(BR_CODE)):
        other = "1" if BR_CODE[at] != "1" else "2"
        assert emv.code(BR_CODE[:at] + other + BR_CODE[at + 1 :], "986") is None
