#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""What a folder of mails has to be: mails.py FOLDER POSTER N-PATCHES N-EARLIER [PREFIX]

N-EARLIER is the number of patches of the postings that this one goes on top of.
Prints what is wrong, a line for each, and exits 1 if anything is.
"""

import email
import email.policy
import email.utils
import glob
import os
import re
import sys

TAG = re.compile(r'^[A-Z][A-Za-z]*(-[a-z]+)+: |^(Fixes|Cc|Link|Closes): ')
found = []


def wrong(name, what):
    found.append(f'{name}: {what}')


def everyone(mail, *keys):
    fields = [str(field) for key in keys for field in mail.get_all(key, [])]
    return {address.lower() for _, address in email.utils.getaddresses(fields)}


def check_header(name, mail, subject, poster):
    if not str(mail['subject']).startswith(subject + ' '):
        wrong(name, f'subject is "{mail["subject"]}", not "{subject} ..."')
    if email.utils.parseaddr(str(mail['from'])) != email.utils.parseaddr(poster):
        wrong(name, f'From: is {mail["from"]}, not the poster')
    for key in 'to', 'cc':
        if not everyone(mail, key):
            wrong(name, f'no {key.capitalize()}:')
    for address in everyone(mail, 'from', 'to', 'cc'):
        if 'noreply' in address or not re.fullmatch(r'[^@\s]+@[^@\s]+\.[^@\s]+', address):
            wrong(name, f'{address} takes no mail')
    if everyone(mail, 'from') & everyone(mail, 'to', 'cc'):
        wrong(name, 'the poster gets a copy')


def check_patch(name, mail, body, poster):
    message = body.split('\n---\n')[0].rstrip().split('\n')
    signed = [line for line in message if line.lower().startswith('signed-off-by:')]
    if signed != [f'Signed-off-by: {poster}']:
        wrong(name, f'signed off {len(signed)} times: {signed}')
    tags = [line for line in message if TAG.match(line)]
    if not tags or tags[-1] != f'Signed-off-by: {poster}' or message[-1] != tags[-1]:
        wrong(name, 'the sign-off of the poster is not the last tag')
    if re.search(r'^(---|\+\+\+) [ab]/mm/', body, re.M) and \
            'linux-mm@kvack.org' not in everyone(mail, 'to', 'cc'):
        wrong(name, 'touches mm/ and does not go to linux-mm')
    if re.search(r'^\+\+\+ b/Documentation/ABI/', body, re.M) and \
            'linux-api@vger.kernel.org' not in everyone(mail, 'to', 'cc'):
        wrong(name, 'touches Documentation/ABI and does not go to linux-api')


def check_letter(name, body, earlier):
    if not re.search(r'^base-commit: [0-9a-f]{40}$', body, re.M):
        wrong(name, 'no base-commit')
    ids = len(re.findall(r'^prerequisite-patch-id: [0-9a-f]{40}$', body, re.M))
    if ids != earlier:
        wrong(name, f'{ids} prerequisite-patch-id for {earlier} patches that come before')
    if ('goes on top of' in body) != (earlier > 0):
        wrong(name, f'does not say what is true of the {earlier} patches that come before')
    if re.search(r'^Proof: |\*\*\* (SUBJECT|BLURB) HERE', body, re.M):
        wrong(name, 'has lines that are not for mails')


def check_threads(names, mails):
    cover = str(mails[0]['message-id'])
    if len({str(mail['message-id']) for mail in mails}) != len(mails):
        wrong(names[0], 'a Message-Id is there twice')
    for name, mail in list(zip(names, mails))[1:]:
        for key in 'in-reply-to', 'references':
            if str(mail[key]) != cover:
                wrong(name, f'{key.title()}: is {mail[key]}, the cover letter is {cover}')
    if mails[0]['in-reply-to']:
        wrong(names[0], 'the cover letter is a reply')


def main(folder, poster, patches, earlier, prefix='PATCH'):
    names, mails = [], []
    for file in sorted(glob.glob(f'{folder}/*.patch')):
        with open(file, 'rb') as handle:
            handle.readline()       # the line of mbox
            mails.append(email.message_from_binary_file(handle, policy=email.policy.SMTP))
        names.append(os.path.basename(file))
    if len(mails) != patches + 1:
        sys.exit(f'{folder}: {len(mails)} mails for {patches} patches')
    for number, (name, mail) in enumerate(zip(names, mails)):
        body = mail.get_payload(decode=True).decode()
        check_header(name, mail, f'[{prefix} {number:0{len(str(patches))}}/{patches}]', poster)
        if number:
            check_patch(name, mail, body, poster)
        else:
            check_letter(name, body, earlier)
    check_threads(names, mails)
    for key in ('to',), ('to', 'cc'):
        union = set().union(*(everyone(mail, *key) for mail in mails[1:]))
        if everyone(mails[0], *key) != union:
            wrong(names[0], f'{"/".join(key)} is not what the patches have: '
                  f'{sorted(everyone(mails[0], *key) ^ union)}')
    print('\n'.join(found), end='\n' if found else '')
    return bool(found)


sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:]))
