import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.stripe.Stripe;
import com.stripe.exception.SignatureVerificationException;
import com.stripe.model.Event;
import com.stripe.model.PaymentIntent;
import com.stripe.model.StripeObject;
import com.stripe.net.Webhook;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/** Judges a webhook with the stock Java SDK: one request on standard input, one answer on standard output. */
public class Judge {
  public static void main(String[] arguments) {
    JsonObject asked =
        JsonParser.parseReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)).getAsJsonObject();
    JsonObject said = new JsonObject();
    said.addProperty("api_version", Stripe.API_VERSION);
    if (asked.has("body")) {
      judge(asked, said);
    }
    System.out.println(said);
  }

  private static void judge(JsonObject asked, JsonObject said) {
    Event event;
    try {
      event =
          Webhook.constructEvent(
              asked.get("body").getAsString(),
              asked.get("signature").getAsString(),
              asked.get("secret").getAsString());
    } catch (SignatureVerificationException error) {
      said.addProperty("error", String.valueOf(error.getMessage()));
      return;
    }
    Optional<StripeObject> object = event.getDataObjectDeserializer().getObject();
    if (!object.isPresent()) {
      said.addProperty("error", "getObject() is empty: api_version is " + event.getApiVersion());
      return;
    }
    PaymentIntent payment = (PaymentIntent) object.get();
    said.addProperty("type", event.getType());
    said.addProperty("id", payment.getId());
    said.addProperty("amount", payment.getAmountReceived());
  }
}
