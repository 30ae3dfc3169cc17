"""The types of payment methods that a configuration may speak of. Pure."""

from bailiwick.methods import every

_STRIPE = """
acss_debit affirm afterpay_clearpay alipay alma amazon_pay apple_pay apple_pay_later au_becs_debit
bacs_debit bancontact billie bizum blik boleto card cartes_bancaires cashapp crypto customer_balance
eps fpx fr_meal_voucher_conecs giropay google_pay grabpay ideal jcb kakao_pay klarna konbini kr_card
link mb_way mobilepay multibanco naver_pay nz_bank_account oxxo p24 pay_by_bank payco paynow paypal
paypay payto pix promptpay revolut_pay samsung_pay satispay scalapay sepa_debit sequra sofort sunbit
swish twint upi us_bank_account wechat_pay zip
""".split()
"""Those of https://docs.stripe.com/api/payment_method_configurations/object."""

TYPES = tuple(sorted({*_STRIPE, *every()}))
"""What is offered here and what Stripe names: what no channel here offers is kept as it is wished,
and shown as not available."""


def offered(name: str) -> bool:
    """Whether any channel could take it."""
    return name in every()
