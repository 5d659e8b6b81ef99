import asyncio
import email.message

import aiosmtplib

letter = email.message.EmailMessage()
letter["From"] = "from@example.com"
letter["To"] = "to@example.com"
letter["Subject"] = "aiosmtplib é"
letter.set_content("line\n" * 10_000)


async def main():
    async with aiosmtplib.SMTP(hostname=HOST, port=PORT, start_tls=TLS, timeout=20) as client:
        assert (await client.noop()).code == 250
        # The snapshot is taken here.
        errors, answer = await client.send_message(letter)
    assert errors == {}, errors
    assert answer.startswith("OK"), answer


asyncio.run(main())
