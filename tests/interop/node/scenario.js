// The scenario's verbs with the stock Node SDK: only its key and its address are ours.
//
// The first line of standard input says where and with which keys; each further line is one verb,
// {"verb": ..., "key": ..., ...}, and is answered by one line: what was got, or the SDK's error.
import process from 'node:process';
import readline from 'node:readline';
import Stripe from 'stripe';

const brief = (payment) => ({
  id: payment.id,
  status: payment.status,
  amount: payment.amount,
  received: payment.amount_received,
  capturable: payment.amount_capturable,
  charge: payment.latest_charge,
  method: payment.payment_method,
  reason: payment.cancellation_reason,
  types: payment.payment_method_types,
  metadata: payment.metadata,
  secret: payment.client_secret,
});

async function all(list, show) {
  const found = [];
  for await (const each of list) found.push(show(each));
  return found;
}

const verbs = {
  version: (stripe) => ({
    api_version: stripe.getApiField('version'),
    sdk: Stripe.PACKAGE_VERSION ?? stripe.getConstant('PACKAGE_VERSION'),
  }),
  async pay(stripe, { method, manual, flexible, save, once, ...given }) {
    const made = await stripe.paymentIntents.create({
      currency: 'eur',
      ...given,
      ...(method && { payment_method: method, confirm: true }),
      ...(manual && { capture_method: 'manual' }),
      ...(save && { setup_future_usage: 'off_session' }),
      ...(flexible && {
        payment_method_options: {
          card: {
            request_multicapture: 'if_available',
            request_incremental_authorization: 'if_available',
          },
        },
      }),
    }, once ? { idempotencyKey: once } : {});
    const replayed = made.lastResponse.headers['idempotent-replayed'] === 'true';
    return { ...brief(made), replayed };
  },
  confirm: async (stripe, { payment, method }) =>
    brief(await stripe.paymentIntents.confirm(payment, { payment_method: method })),
  increment: async (stripe, { payment, amount }) =>
    brief(await stripe.paymentIntents.incrementAuthorization(payment, { amount })),
  capture: async (stripe, { payment, amount, final }) => brief(
    await stripe.paymentIntents.capture(payment, { amount_to_capture: amount, final_capture: final })),
  cancel: async (stripe, { payment }) => brief(await stripe.paymentIntents.cancel(payment)),
  payment: async (stripe, { payment, secret }) => brief(
    await stripe.paymentIntents.retrieve(payment, secret ? { client_secret: secret } : {})),
  async expanded(stripe, { payment }) {
    const { latest_charge: charge, customer } = await stripe.paymentIntents.retrieve(payment, {
      expand: ['latest_charge.balance_transaction', 'customer'],
    });
    const net = charge.balance_transaction.net;
    return { charge: charge.id, paid: charge.paid, net, name: customer.name };
  },
  async refund(stripe, { payment, amount }) {
    const made = await stripe.refunds.create({ payment_intent: payment, amount });
    return { id: made.id, status: made.status, amount: made.amount };
  },
  customer: async (stripe, given) => ({ id: (await stripe.customers.create(given)).id }),
  async setup(stripe, { customer, method }) {
    const made = await stripe.setupIntents.create({
      customer,
      payment_method: method,
      confirm: true,
      mandate_data: { customer_acceptance: { type: 'offline', offline: {} } },
      expand: ['mandate'],
    });
    const mandate = await stripe.mandates.retrieve(made.mandate.id);
    const method_ = made.payment_method;
    return { id: made.id, status: made.status, method: method_, mandate: mandate.status };
  },
  listed: (stripe, { customer }) => all(
    stripe.paymentIntents.list({ customer, limit: 1, expand: ['data.latest_charge'] }),
    (each) => ({ id: each.id, charge: each.latest_charge.id })),
  search: (stripe, { query }) =>
    all(stripe.paymentIntents.search({ query, limit: 1 }), (each) => each.id),
  disputes: async (stripe, { payment }) =>
    (await stripe.disputes.list({ payment_intent: payment })).data.map(
      ({ id, status, amount }) => ({ id, status, amount })),
  dispute: async (stripe, { dispute }) =>
    ({ status: (await stripe.disputes.retrieve(dispute)).status }),
  async file(stripe, { content }) {
    const data = Buffer.from(content, 'base64');
    const { id, size, type } = await stripe.files.create({
      purpose: 'dispute_evidence', file: { data, name: 'receipt.pdf' },
    });
    return { id, size, type };
  },
  async evidence(stripe, { dispute, text, receipt }) {
    const after = await stripe.disputes.update(dispute, {
      evidence: { uncategorized_text: text, receipt },
    });
    return { status: after.status, receipt: after.evidence.receipt };
  },
  async payout(stripe, { amount, destination }) {
    const { id, status } = await stripe.payouts.create({ amount, currency: 'eur', destination });
    return { id, status };
  },
  payout_of: async (stripe, { payout }) =>
    ({ status: (await stripe.payouts.retrieve(payout)).status }),
  balance: async (stripe) => Object.fromEntries(
    (await stripe.balance.retrieve()).available.map(({ currency, amount }) => [currency, amount])),
  transactions: (stripe) => all(
    stripe.balanceTransactions.list({ limit: 3 }),
    ({ type, amount, net, source }) => ({ type, amount, net, source })),
  async configuration(stripe, { name }) {
    const off = { display_preference: { preference: 'off' } };
    const made = await stripe.paymentMethodConfigurations.create({ name, ideal: off });
    const listed = await all(stripe.paymentMethodConfigurations.list(), (each) => each.id);
    return {
      id: made.id,
      listed: listed.includes(made.id),
      card: made.card.display_preference.value,
      ideal: made.ideal.display_preference.value,
    };
  },
  async clock(stripe, { frozen }) {
    const { id, status } = await stripe.testHelpers.testClocks.create({ frozen_time: frozen });
    return { id, status };
  },
  advance: async (stripe, { clock, to }) =>
    ({ status: (await stripe.testHelpers.testClocks.advance(clock, { frozen_time: to })).status }),
  clock_of: async (stripe, { clock }) =>
    ({ status: (await stripe.testHelpers.testClocks.retrieve(clock)).status }),
  unclock: async (stripe, { clock }) =>
    ({ deleted: (await stripe.testHelpers.testClocks.del(clock)).deleted }),
  async events(stripe, { type }) {
    const { data } = await stripe.events.list({ type, limit: 1 });
    const found = await stripe.events.retrieve(data[0].id);
    return { id: found.id, type: found.type, object: found.data.object.id };
  },
  async endpoint(stripe, { url, events, own }) {
    const { id, secret, api_version } = await stripe.webhookEndpoints.create({
      url,
      enabled_events: events,
      ...(own && { api_version: stripe.getApiField('version') }),
    });
    return { id, secret, api_version };
  },
  unhook: async (stripe, { endpoint }) =>
    ({ deleted: (await stripe.webhookEndpoints.del(endpoint)).deleted }),
  judge(stripe, { body, signature, secret }) {
    const event = stripe.webhooks.constructEvent(body, signature, secret);
    const payment = event.data.object;
    return { type: event.type, id: payment.id, received: payment.amount_received };
  },
};

const failure = (error) => ({
  class: error.type,
  status: error.statusCode ?? null,
  code: error.code ?? null,
  decline_code: error.decline_code ?? null,
  param: error.param ?? null,
  message: error.message,
  request_id: error.requestId ?? null,
});

let settings;
for await (const line of readline.createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  if (settings === undefined) {
    settings = asked;
    continue;
  }
  const { verb, key = 'secret', base_url = settings.base_url, retries = 2, ...given } = asked;
  const { hostname: host, port } = new URL(base_url);
  const stripe = new Stripe(settings.keys[key], {
    host, port, protocol: 'http', maxNetworkRetries: retries, telemetry: false,
  });
  let said;
  try {
    said = { got: await verbs[verb](stripe, given) };
  } catch (error) {
    if (!(error instanceof Stripe.errors.StripeError)) throw error;
    said = { error: failure(error) };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
