import email.message
import smtplib
import ssl

letter = email.message.EmailMessage()
letter["From"] = "from@example.com"
letter["To"] = "to@example.com"
letter["Subject"] = "smtplib é"
letter.set_content("line\n" * 10_000)
with smtplib.SMTP(HOST, PORT, timeout=20) as client:
    if TLS:
        client.starttls(context=ssl.create_default_context())
    assert client.noop()[0] == 250
    # The snapshot is taken here.
    assert client.send_message(letter) == {}
    try:
        client.sendmail("from@example.com", ["unknown@refused.example"], "text")
    except smtplib.SMTPRecipientsRefused as error:
        assert error.recipients["unknown@refused.example"][0] == 550
    else:
        raise AssertionError("sent to whom the server refuses")
