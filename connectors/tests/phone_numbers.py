#!/usr/bin/env python3
"""Writes phone_numbers.tsv: how libphonenumber reads every region's example numbers in every usual spelling.

    pip install phonenumbers==9.0.42 && python3 phone_numbers.py > phone_numbers.tsv

The package is the Python port of Google's libphonenumber with its metadata (Apache-2.0), independent of the library
that the product uses. Take the release whose metadata the product's library has. A line is: region, country code,
national significant number, trunk prefix, international prefix, the international and the national form, and one
answer for each spelling of `spellings` in the region, then in each of FOREIGN for those of ABROAD: `=` the number
itself, `-` no number, or another number in parentheses.
"""

import phonenumbers as lib
from phonenumbers import PhoneMetadata, PhoneNumberFormat as Form, PhoneNumberType

FOREIGN = ["US", "FR", "RU", "JP", "IT", None]
ABROAD = [0, 1, 4, 6, 10, 15, 17]


def shift(text, zero, others):
    digits = "".join(chr(zero + int(c)) if c in "0123456789" else c for c in text)
    return "".join(others.get(c, c) for c in digits)


def wide(text):
    others = {c: chr(ord(c) + 0xFEE0) for c in "+-()/."}
    return shift(text, 0xFF10, {**others, " ": "\u3000"})


def spellings(code, nsn, trunk, prefix, inter, national):
    e164 = f"+{code}{nsn}"
    return [
        e164,
        inter,
        inter.replace(" ", "-"),
        inter.replace(" ", "."),
        "00" + e164[1:],
        f"{prefix} {inter[1:]}",
        national,
        "".join(c for c in national if c in "0123456789"),
        national.replace(" ", "-"),
        national.replace(" ", "/"),
        nsn,
        trunk + nsn,
        "tel:" + inter.replace(" ", "-"),
        e164[1:],
        f"+{code} ({trunk or '0'}) {nsn}",
        f"+{code} {trunk}{nsn}",
        f"({code}) {nsn}",
        wide(inter),
        wide(national),
        shift(national, 0x660, {}),
        shift(e164, 0x966, {}),
        f"tel:{nsn};phone-context=+{code}",
        national + " ext. 123",
        national.replace(" ", "\u00a0"),
        national.replace("-", "\u2013"),
        f" {national} ",
        "Tel: " + inter,
        national[:-1],
        national + "1",
    ]


def answer(text, region, e164):
    try:
        number = lib.parse(text, region)
    except lib.NumberParseException:
        return "-"
    if lib.is_possible_number_with_reason(number) != lib.ValidationResult.IS_POSSIBLE:
        return "-"
    read = lib.format_number(number, Form.E164)
    return "=" if read == e164 else f"({read})"


def main():
    kinds = [v for k, v in vars(PhoneNumberType).items() if k.isupper() and isinstance(v, int)]
    print("# libphonenumber", lib.__version__, "(C) The Libphonenumber Authors, Apache-2.0; written by phone_numbers.py")
    for region in sorted(lib.SUPPORTED_REGIONS):
        plan = PhoneMetadata.metadata_for_region(region, None)
        prefix = plan.preferred_international_prefix or plan.international_prefix
        prefix = prefix if prefix.isdigit() else "00"
        trunk = plan.national_prefix or ""
        seen = set()
        for kind in kinds:
            number = lib.example_number_for_type(region, kind)
            if number is None or lib.format_number(number, Form.E164) in seen:
                continue
            e164 = lib.format_number(number, Form.E164)
            seen.add(e164)
            nsn = lib.national_significant_number(number)
            inter = lib.format_number(number, Form.INTERNATIONAL)
            national = lib.format_number(number, Form.NATIONAL)
            parts = [str(number.country_code), nsn, trunk, prefix, inter, national]
            texts = spellings(*parts)
            answers = [answer(text, region, e164) for text in texts]
            answers += [answer(texts[i], abroad, e164) for abroad in FOREIGN for i in ABROAD]
            print(region, *parts, "".join(answers), sep="\t")


main()
