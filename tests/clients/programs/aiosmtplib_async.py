import asyncio
import email.message

import aiosmtplib

letter = email.message.EmailMessage()
letter["From"] = "from@example.com"
letter["To"] = "to@example.com"
letter["Subject"] = "aiosmtplib é"
letter.set_content("line\n" * 10_000)


async def main():
    errors, answer = await aiosmtplib.send(
        letter, hostname=HOST, port=PORT, start_tls=TLS, timeout=20
    )
    assert errors == {}, errors
    assert answer.startswith("OK"), answer


asyncio.run(main())
