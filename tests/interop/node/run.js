// The stock Node SDK against a Bailiwick: only its key and its address are ours.
// Reads {base_url, secret_key, publishable_key, other_secret_key} from standard input; prints what
// it saw as one JSON document, which the test compares with the providers' books.
import http from 'node:http';
import process from 'node:process';
import Stripe from 'stripe';

const given = JSON.parse(await new Response(process.stdin).text());
const base = new URL(given.base_url);

function connect(key) {
  return new Stripe(key, {
    host: base.hostname,
    port: base.port,
    protocol: 'http',
    telemetry: false,
  });
}

const stripe = connect(given.secret_key);
const order = (changes = {}) => ({
  amount: 1999,
  currency: 'eur',
  confirm: true,
  payment_method: 'pm_card_visa',
  location: { country: 'DE' },
  ...changes,
});
const pay = (changes, options) => stripe.paymentIntents.create(order(changes), options);

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    return {
      name: error.type,
      is_stripe: error instanceof Stripe.errors.StripeError,
      status: error.statusCode,
      code: error.code ?? null,
      decline_code: error.decline_code ?? null,
      param: error.param ?? null,
      request_id: error.requestId ?? null,
      should_retry: error.headers?.['stripe-should-retry'] ?? null,
    };
  }
  return null;
}

const brief = ({ id, status, amount_received, amount_capturable, latest_charge, metadata }) => ({
  id, status, amount_received, amount_capturable, latest_charge, metadata,
});

const steps = {
  async created() {
    return brief(await pay({ metadata: { 'a b': 'ü&=' } }));
  },
  async confirmed() {
    const made = await stripe.paymentIntents.create({
      amount: 800, currency: 'inr', location: { coordinates: '19.07,72.88' },
    });
    const done = await stripe.paymentIntents.confirm(made.id, { payment_method: 'pm_card_visa' });
    return { before: made.status, node: done.node, ...brief(done) };
  },
  async captured() {
    const held = await pay({ capture_method: 'manual' });
    const done = await stripe.paymentIntents.capture(held.id, { amount_to_capture: 700 });
    return { before: held.status, held: held.amount_capturable, ...brief(done) };
  },
  async canceled() {
    const held = await pay({ capture_method: 'manual' });
    return brief(await stripe.paymentIntents.cancel(held.id));
  },
  async refunded() {
    const paid = await pay();
    const part = await stripe.refunds.create({ payment_intent: paid.id, amount: 500 });
    const over = await failure(stripe.refunds.create({ payment_intent: paid.id, amount: 1500 }));
    const rest = await stripe.refunds.create({ charge: paid.latest_charge });
    return { ...brief(paid), amounts: [part.amount, rest.amount], status: part.status, over };
  },
  async expanded() {
    const paid = await pay({ expand: ['latest_charge'] });
    return { object: paid.latest_charge.object, paid: paid.latest_charge.paid };
  },
  async replayed() {
    const options = { idempotencyKey: `node-${Date.now()}-${Math.random()}` };
    const first = await pay({}, options);
    const second = await pay({}, options);
    return {
      ...brief(second),
      same: JSON.stringify(first) === JSON.stringify(second),
      replayed: second.lastResponse.headers['idempotent-replayed'],
      mismatch: await failure(pay({ amount: 2000 }, options)),
    };
  },
  async errors() {
    const paid = await pay();
    const other = connect(given.other_secret_key);
    return {
      declined: await failure(
        pay({ payment_method: 'pm_card_visa_chargeDeclinedInsufficientFunds' })),
      invalid: await failure(pay({ currency: 'xxq' })),
      wrong_key: await failure(connect('sk_test_wrong').paymentIntents.list()),
      publishable: await failure(connect(given.publishable_key).paymentIntents.list()),
      others: await failure(other.paymentIntents.retrieve(paid.id)),
    };
  },
  async payer() {
    const made = await pay({ confirm: false });
    const browser = connect(given.publishable_key);
    const seen = await browser.paymentIntents.retrieve(made.id, {
      client_secret: made.client_secret,
    });
    return {
      same: seen.id === made.id,
      without: await failure(browser.paymentIntents.retrieve(made.id)),
    };
  },
  async listed() {
    const made = [];
    for (const country of ['DE', 'IN', 'BR', 'DE', 'IN', 'BR', 'US']) {
      made.push((await pay({ location: { country } })).id);
    }
    const found = [];
    for await (const each of stripe.paymentIntents.list({ limit: 2 })) {
      found.push(each.id);
      if (each.id === made[0]) break;
    }
    return { made, found };
  },
  async events() {
    const paid = await pay();
    const { data } = await stripe.events.list({ type: 'payment_intent.succeeded', limit: 1 });
    const one = await stripe.events.retrieve(data[0].id);
    return { payment: paid.id, event_of: one.data.object.id, type: one.type };
  },
  async webhooks() {
    const hits = [];
    let came;
    const arrived = new Promise((resolve) => { came = resolve; });
    const server = http.createServer(async (request, response) => {
      const parts = [];
      for await (const part of request) parts.push(part);
      hits.push({ body: Buffer.concat(parts), signature: request.headers['stripe-signature'] });
      response.end();
      came();
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const endpoint = await stripe.webhookEndpoints.create({
      url: `http://127.0.0.1:${server.address().port}/hook`,
      enabled_events: ['payment_intent.succeeded'],
    });
    try {
      const paid = await pay();
      await Promise.race([
        arrived,
        new Promise((_, reject) => { setTimeout(reject, 120000, new Error('no webhook')); }),
      ]);
      const [hit] = hits;
      const event = stripe.webhooks.constructEvent(hit.body, hit.signature, endpoint.secret);
      let forged = null;
      try {
        stripe.webhooks.constructEvent(`${hit.body} `, hit.signature, endpoint.secret);
      } catch (error) {
        forged = error.type;
      }
      return { payment: paid.id, event_of: event.data.object.id, type: event.type, forged };
    } finally {
      await stripe.webhookEndpoints.del(endpoint.id);
      server.close();
      server.closeAllConnections();
    }
  },
};

const seen = { version: Stripe.PACKAGE_VERSION ?? stripe.getConstant?.('PACKAGE_VERSION') };
for (const [name, step] of Object.entries(steps)) seen[name] = await step();
process.stdout.write(JSON.stringify(seen), () => process.exit(0));
