import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.stripe.Stripe;
import com.stripe.StripeClient;
import com.stripe.exception.CardException;
import com.stripe.exception.InvalidRequestException;
import com.stripe.exception.StripeException;
import com.stripe.model.*;
import com.stripe.model.testhelpers.TestClock;
import com.stripe.net.RequestOptions;
import com.stripe.param.*;
import com.stripe.param.PaymentIntentCreateParams.PaymentMethodOptions.Card;
import com.stripe.param.SetupIntentCreateParams.MandateData;
import com.stripe.param.SetupIntentCreateParams.MandateData.CustomerAcceptance;
import com.stripe.param.testhelpers.TestClockAdvanceParams;
import com.stripe.param.testhelpers.TestClockCreateParams;
import com.stripe.service.V1Services;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.function.Function;

/**
 * The scenario's verbs with the stock Java SDK: only its key and its address are ours.
 *
 * <p>The first line of standard input says where and with which keys; each further line is one
 * verb, {"verb": ..., "key": ..., ...}, and is answered by one line: what was got, or the error.
 */
public class Scenario {
  private static final Gson JSON = new GsonBuilder().serializeNulls().create();

  private final JsonObject asked;
  private final StripeClient client;
  private final V1Services api;

  private Scenario(JsonObject asked, StripeClient client) {
    this.asked = asked;
    this.client = client;
    this.api = client.v1();
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader input =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    JsonObject settings = JsonParser.parseString(input.readLine()).getAsJsonObject();
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      JsonObject asked = JsonParser.parseString(line).getAsJsonObject();
      String here = (asked.has("base_url") ? asked : settings).get("base_url").getAsString();
      String key = asked.has("key") ? asked.get("key").getAsString() : "secret";
      StripeClient client =
          StripeClient.builder()
              .setApiKey(settings.getAsJsonObject("keys").get(key).getAsString())
              .setApiBase(here)
              .setFilesBase(here)
              .setMaxNetworkRetries(asked.has("retries") ? asked.get("retries").getAsInt() : 2)
              .build();
      Map<String, Object> said;
      try {
        said = map("got", new Scenario(asked, client).answer());
      } catch (StripeException error) {
        said = map("error", failure(error));
      }
      System.out.write((JSON.toJson(said) + "\n").getBytes(StandardCharsets.UTF_8));
      System.out.flush();
    }
  }

  private Object answer() throws StripeException {
    switch (text("verb")) {
      case "version":
        return map("api_version", Stripe.API_VERSION, "sdk", Stripe.VERSION);
      case "pay":
        return pay();
      case "confirm":
        return brief(
            api.paymentIntents()
                .confirm(
                    text("payment"),
                    PaymentIntentConfirmParams.builder().setPaymentMethod(text("method")).build()));
      case "increment":
        return brief(
            api.paymentIntents()
                .incrementAuthorization(
                    text("payment"),
                    PaymentIntentIncrementAuthorizationParams.builder()
                        .setAmount(number("amount"))
                        .build()));
      case "capture":
        return brief(
            api.paymentIntents()
                .capture(
                    text("payment"),
                    PaymentIntentCaptureParams.builder()
                        .setAmountToCapture(number("amount"))
                        .setFinalCapture(flag("final"))
                        .build()));
      case "cancel":
        return brief(api.paymentIntents().cancel(text("payment")));
      case "payment":
        return brief(
            api.paymentIntents()
                .retrieve(
                    text("payment"),
                    PaymentIntentRetrieveParams.builder().setClientSecret(text("secret")).build()));
      case "expanded":
        return expanded();
      case "refund":
        Refund refund =
            api.refunds()
                .create(
                    RefundCreateParams.builder()
                        .setPaymentIntent(text("payment"))
                        .setAmount(number("amount"))
                        .build());
        return map("id", refund.getId(), "status", refund.getStatus(), "amount", refund.getAmount());
      case "customer":
        return map(
            "id",
            api.customers()
                .create(
                    CustomerCreateParams.builder()
                        .setName(text("name"))
                        .setEmail(text("email"))
                        .setTestClock(text("test_clock"))
                        .build())
                .getId());
      case "setup":
        return setup();
      case "listed":
        return all(
            api.paymentIntents()
                .list(
                    PaymentIntentListParams.builder()
                        .setCustomer(text("customer"))
                        .setLimit(1L)
                        .addExpand("data.latest_charge")
                        .build())
                .autoPagingIterable(),
            each -> map("id", each.getId(), "charge", each.getLatestChargeObject().getId()));
      case "search":
        return all(
            api.paymentIntents()
                .search(
                    PaymentIntentSearchParams.builder().setQuery(text("query")).setLimit(1L).build())
                .autoPagingIterable(),
            PaymentIntent::getId);
      case "disputes":
        return all(
            api.disputes()
                .list(DisputeListParams.builder().setPaymentIntent(text("payment")).build())
                .autoPagingIterable(),
            each ->
                map("id", each.getId(), "status", each.getStatus(), "amount", each.getAmount()));
      case "dispute":
        return map("status", api.disputes().retrieve(text("dispute")).getStatus());
      case "file":
        byte[] content = Base64.getDecoder().decode(text("content"));
        File file =
            api.files()
                .create(
                    FileCreateParams.builder()
                        .setPurpose(FileCreateParams.Purpose.DISPUTE_EVIDENCE)
                        .setFile(new ByteArrayInputStream(content))
                        .build());
        return map("id", file.getId(), "size", file.getSize(), "type", file.getType());
      case "evidence":
        Dispute after =
            api.disputes()
                .update(
                    text("dispute"),
                    DisputeUpdateParams.builder()
                        .setEvidence(
                            DisputeUpdateParams.Evidence.builder()
                                .setUncategorizedText(text("text"))
                                .setReceipt(text("receipt"))
                                .build())
                        .build());
        return map("status", after.getStatus(), "receipt", after.getEvidence().getReceipt());
      case "payout":
        Payout payout =
            api.payouts()
                .create(
                    PayoutCreateParams.builder()
                        .setAmount(number("amount"))
                        .setCurrency("eur")
                        .setDestination(text("destination"))
                        .build());
        return map("id", payout.getId(), "status", payout.getStatus());
      case "payout_of":
        return map("status", api.payouts().retrieve(text("payout")).getStatus());
      case "balance":
        Map<String, Object> held = new LinkedHashMap<>();
        for (Balance.Available each : api.balance().retrieve().getAvailable()) {
          held.put(each.getCurrency(), each.getAmount());
        }
        return held;
      case "transactions":
        return all(
            api.balanceTransactions()
                .list(BalanceTransactionListParams.builder().setLimit(3L).build())
                .autoPagingIterable(),
            each ->
                map(
                    "type", each.getType(), "amount", each.getAmount(), "net", each.getNet(),
                    "source", each.getSource()));
      case "configuration":
        return configuration();
      case "clock":
        return clock(
            api.testHelpers()
                .testClocks()
                .create(TestClockCreateParams.builder().setFrozenTime(number("frozen")).build()));
      case "advance":
        return clock(
            api.testHelpers()
                .testClocks()
                .advance(
                    text("clock"),
                    TestClockAdvanceParams.builder().setFrozenTime(number("to")).build()));
      case "clock_of":
        return clock(api.testHelpers().testClocks().retrieve(text("clock")));
      case "unclock":
        return clock(api.testHelpers().testClocks().delete(text("clock")));
      case "events":
        EventListParams newest =
            EventListParams.builder().setType(text("type")).setLimit(1L).build();
        Event event = api.events().retrieve(api.events().list(newest).getData().get(0).getId());
        String raw = event.getDataObjectDeserializer().getRawJson();
        JsonObject object = JsonParser.parseString(raw).getAsJsonObject();
        return map("id", event.getId(), "type", event.getType(), "object", object.get("id"));
      case "endpoint":
        return endpoint();
      case "unhook":
        return map("deleted", api.webhookEndpoints().delete(text("endpoint")).getDeleted());
      case "judge":
        return judge();
      default:
        throw new IllegalArgumentException(text("verb"));
    }
  }

  private Object pay() throws StripeException {
    PaymentIntentCreateParams.Builder wish =
        PaymentIntentCreateParams.builder()
            .setAmount(number("amount"))
            .setCurrency(asked.has("currency") ? text("currency") : "eur")
            .setCustomer(text("customer"))
            .setDescription(text("description"))
            .setPaymentMethodConfiguration(text("payment_method_configuration"))
            .setOffSession(flag("off_session"))
            .setPaymentMethod(text("method"));
    if (asked.has("method")) {
      wish.setConfirm(true);
    }
    if (asked.has("metadata")) {
      asked
          .getAsJsonObject("metadata")
          .entrySet()
          .forEach(each -> wish.putMetadata(each.getKey(), each.getValue().getAsString()));
    }
    if (asked.has("manual")) {
      wish.setCaptureMethod(PaymentIntentCreateParams.CaptureMethod.MANUAL);
    }
    if (asked.has("save")) {
      wish.setSetupFutureUsage(PaymentIntentCreateParams.SetupFutureUsage.OFF_SESSION);
    }
    if (asked.has("flexible")) {
      wish.setPaymentMethodOptions(
          PaymentIntentCreateParams.PaymentMethodOptions.builder()
              .setCard(
                  Card.builder()
                      .setRequestMulticapture(Card.RequestMulticapture.IF_AVAILABLE)
                      .setRequestIncrementalAuthorization(
                          Card.RequestIncrementalAuthorization.IF_AVAILABLE)
                      .build())
              .build());
    }
    RequestOptions options = RequestOptions.builder().setIdempotencyKey(text("once")).build();
    PaymentIntent made = api.paymentIntents().create(wish.build(), options);
    Map<String, Object> said = brief(made);
    Optional<String> replayed = made.getLastResponse().headers().firstValue("Idempotent-Replayed");
    said.put("replayed", replayed.isPresent());
    return said;
  }

  private Object expanded() throws StripeException {
    PaymentIntent payment =
        api.paymentIntents()
            .retrieve(
                text("payment"),
                PaymentIntentRetrieveParams.builder()
                    .addExpand("latest_charge.balance_transaction")
                    .addExpand("customer")
                    .build());
    Charge charge = payment.getLatestChargeObject();
    return map(
        "charge", charge.getId(), "paid", charge.getPaid(),
        "net", charge.getBalanceTransactionObject().getNet(),
        "name", payment.getCustomerObject().getName());
  }

  private Object setup() throws StripeException {
    CustomerAcceptance accepted =
        CustomerAcceptance.builder()
            .setType(CustomerAcceptance.Type.OFFLINE)
            .setOffline(CustomerAcceptance.Offline.builder().build())
            .build();
    SetupIntent made =
        api.setupIntents()
            .create(
                SetupIntentCreateParams.builder()
                    .setCustomer(text("customer"))
                    .setPaymentMethod(text("method"))
                    .setConfirm(true)
                    .setMandateData(MandateData.builder().setCustomerAcceptance(accepted).build())
                    .addExpand("mandate")
                    .build());
    Mandate mandate = api.mandates().retrieve(made.getMandateObject().getId());
    return map(
        "id", made.getId(), "status", made.getStatus(), "method", made.getPaymentMethod(),
        "mandate", mandate.getStatus());
  }

  private Object configuration() throws StripeException {
    PaymentMethodConfigurationCreateParams.Ideal off =
        PaymentMethodConfigurationCreateParams.Ideal.builder()
            .setDisplayPreference(
                PaymentMethodConfigurationCreateParams.Ideal.DisplayPreference.builder()
                    .setPreference(
                        PaymentMethodConfigurationCreateParams.Ideal.DisplayPreference.Preference
                            .OFF)
                    .build())
            .build();
    PaymentMethodConfiguration made =
        api.paymentMethodConfigurations()
            .create(
                PaymentMethodConfigurationCreateParams.builder()
                    .setName(text("name"))
                    .setIdeal(off)
                    .build());
    List<Object> listed =
        all(
            api.paymentMethodConfigurations().list().autoPagingIterable(),
            PaymentMethodConfiguration::getId);
    return map(
        "id", made.getId(), "listed", listed.contains(made.getId()),
        "card", made.getCard().getDisplayPreference().getValue(),
        "ideal", made.getIdeal().getDisplayPreference().getValue());
  }

  private Object endpoint() throws StripeException {
    WebhookEndpointCreateParams.Builder wish =
        WebhookEndpointCreateParams.builder().setUrl(text("url"));
    for (JsonElement name : asked.getAsJsonArray("events")) {
      Arrays.stream(WebhookEndpointCreateParams.EnabledEvent.values())
          .filter(each -> each.getValue().equals(name.getAsString()))
          .forEach(wish::addEnabledEvent);
    }
    if (flag("own")) {
      Arrays.stream(WebhookEndpointCreateParams.ApiVersion.values())
          .filter(each -> each.getValue().equals(Stripe.API_VERSION))
          .forEach(wish::setApiVersion);
    }
    WebhookEndpoint made = api.webhookEndpoints().create(wish.build());
    return map(
        "id", made.getId(), "secret", made.getSecret(), "api_version", made.getApiVersion());
  }

  private Object judge() throws StripeException {
    Event event = client.constructEvent(text("body"), text("signature"), text("secret"));
    Optional<StripeObject> object = event.getDataObjectDeserializer().getObject();
    if (!object.isPresent()) {
      return map("empty", event.getApiVersion());
    }
    PaymentIntent payment = (PaymentIntent) object.get();
    return map(
        "type", event.getType(), "id", payment.getId(), "received", payment.getAmountReceived());
  }

  private static Map<String, Object> brief(PaymentIntent it) {
    return map(
        "id", it.getId(), "status", it.getStatus(), "amount", it.getAmount(),
        "received", it.getAmountReceived(), "capturable", it.getAmountCapturable(),
        "charge", it.getLatestCharge(), "method", it.getPaymentMethod(),
        "reason", it.getCancellationReason(), "types", it.getPaymentMethodTypes(),
        "metadata", it.getMetadata(), "secret", it.getClientSecret());
  }

  private static Map<String, Object> clock(TestClock it) {
    return map("id", it.getId(), "status", it.getStatus(), "deleted", it.getDeleted());
  }

  private static Map<String, Object> failure(StripeException error) {
    String param =
        error instanceof InvalidRequestException
            ? ((InvalidRequestException) error).getParam()
            : null;
    String decline =
        error instanceof CardException ? ((CardException) error).getDeclineCode() : null;
    return map(
        "class", error.getClass().getSimpleName(), "status", error.getStatusCode(),
        "code", error.getCode(), "decline_code", decline, "param", param,
        "message", error.getMessage(), "request_id", error.getRequestId());
  }

  private static <T> List<Object> all(Iterable<T> found, Function<T, Object> show) {
    List<Object> shown = new ArrayList<>();
    found.forEach(each -> shown.add(show.apply(each)));
    return shown;
  }

  private static Map<String, Object> map(Object... pairs) {
    Map<String, Object> made = new LinkedHashMap<>();
    for (int at = 0; at < pairs.length; at += 2) {
      made.put((String) pairs[at], pairs[at + 1]);
    }
    return made;
  }

  private String text(String name) {
    return asked.has(name) ? asked.get(name).getAsString() : null;
  }

  private Long number(String name) {
    return asked.has(name) ? asked.get(name).getAsLong() : null;
  }

  private Boolean flag(String name) {
    return asked.has(name) ? asked.get(name).getAsBoolean() : null;
  }
}
