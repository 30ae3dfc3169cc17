// The scenario's verbs with the stock Go SDK: only its key and its address are ours.
//
// The first line of standard input says where and with which keys; each further line is one verb,
// {"verb": ..., "key": ..., ...}, and is answered by one line: what was got, or the SDK's error.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	stripe "github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
)

type settings struct {
	BaseURL string            `json:"base_url"`
	Keys    map[string]string `json:"keys"`
}

type asked struct {
	Verb          string            `json:"verb"`
	Key           string            `json:"key"`
	BaseURL       string            `json:"base_url"`
	Retries       *int64            `json:"retries"`
	Amount        *int64            `json:"amount"`
	Body          string            `json:"body"`
	Clock         string            `json:"clock"`
	Configuration *string           `json:"payment_method_configuration"`
	Content       []byte            `json:"content"`
	Currency      *string           `json:"currency"`
	Customer      *string           `json:"customer"`
	Description   *string           `json:"description"`
	Destination   *string           `json:"destination"`
	Dispute       string            `json:"dispute"`
	Email         *string           `json:"email"`
	Endpoint      string            `json:"endpoint"`
	Events        []*string         `json:"events"`
	Final         *bool             `json:"final"`
	Flexible      bool              `json:"flexible"`
	Frozen        *int64            `json:"frozen"`
	Manual        bool              `json:"manual"`
	Metadata      map[string]string `json:"metadata"`
	Method        *string           `json:"method"`
	Name          *string           `json:"name"`
	OffSession    *bool             `json:"off_session"`
	Once          *string           `json:"once"`
	Own           bool              `json:"own"`
	Payment       string            `json:"payment"`
	Payout        string            `json:"payout"`
	Query         string            `json:"query"`
	Receipt       *string           `json:"receipt"`
	Save          bool              `json:"save"`
	Secret        string            `json:"secret"`
	Signature     string            `json:"signature"`
	TestClock     *string           `json:"test_clock"`
	Text          *string           `json:"text"`
	To            *int64            `json:"to"`
	Type          *string           `json:"type"`
	URL           *string           `json:"url"`
}

type got = map[string]any

var (
	ctx      = context.Background()
	eur      = stripe.String("eur")
	wishable = stripe.String("if_available")
)

func brief(p *stripe.PaymentIntent, err error) (got, error) {
	if err != nil {
		return nil, err
	}
	said := got{
		"id": p.ID, "status": p.Status, "amount": p.Amount, "received": p.AmountReceived,
		"capturable": p.AmountCapturable, "reason": p.CancellationReason,
		"types": p.PaymentMethodTypes, "metadata": p.Metadata, "secret": p.ClientSecret,
	}
	if p.LatestCharge != nil {
		said["charge"] = p.LatestCharge.ID
	}
	if p.PaymentMethod != nil {
		said["method"] = p.PaymentMethod.ID
	}
	return said, nil
}

func pay(api *stripe.Client, it asked) (any, error) {
	wish := &stripe.PaymentIntentCreateParams{
		Amount: it.Amount, Currency: eur, Customer: it.Customer, Description: it.Description,
		OffSession: it.OffSession, PaymentMethod: it.Method, Metadata: it.Metadata,
		PaymentMethodConfiguration: it.Configuration,
	}
	if it.Currency != nil {
		wish.Currency = it.Currency
	}
	if it.Method != nil {
		wish.Confirm = stripe.Bool(true)
	}
	if it.Manual {
		wish.CaptureMethod = stripe.String(stripe.PaymentIntentCaptureMethodManual)
	}
	if it.Save {
		wish.SetupFutureUsage = stripe.String(stripe.PaymentIntentSetupFutureUsageOffSession)
	}
	if it.Flexible {
		wish.PaymentMethodOptions = &stripe.PaymentIntentCreatePaymentMethodOptionsParams{
			Card: &stripe.PaymentIntentCreatePaymentMethodOptionsCardParams{
				RequestMulticapture: wishable, RequestIncrementalAuthorization: wishable,
			},
		}
	}
	wish.IdempotencyKey = it.Once
	made, err := api.V1PaymentIntents.Create(ctx, wish)
	said, err := brief(made, err)
	if err == nil {
		said["replayed"] = made.LastResponse.Header.Get("Idempotent-Replayed") == "true"
	}
	return said, err
}

func expanded(api *stripe.Client, it asked) (any, error) {
	wish := &stripe.PaymentIntentRetrieveParams{}
	wish.AddExpand("latest_charge.balance_transaction")
	wish.AddExpand("customer")
	p, err := api.V1PaymentIntents.Retrieve(ctx, it.Payment, wish)
	if err != nil {
		return nil, err
	}
	charge := p.LatestCharge
	net := charge.BalanceTransaction.Net
	return got{"charge": charge.ID, "paid": charge.Paid, "net": net, "name": p.Customer.Name}, nil
}

func setup(api *stripe.Client, it asked) (any, error) {
	wish := &stripe.SetupIntentCreateParams{
		Customer: it.Customer, PaymentMethod: it.Method, Confirm: stripe.Bool(true),
		MandateData: &stripe.SetupIntentCreateMandateDataParams{
			CustomerAcceptance: &stripe.SetupIntentCreateMandateDataCustomerAcceptanceParams{
				Type:    stripe.String(stripe.MandateCustomerAcceptanceTypeOffline),
				Offline: &stripe.SetupIntentCreateMandateDataCustomerAcceptanceOfflineParams{},
			},
		},
	}
	wish.AddExpand("mandate")
	made, err := api.V1SetupIntents.Create(ctx, wish)
	if err != nil {
		return nil, err
	}
	mandate, err := api.V1Mandates.Retrieve(ctx, made.Mandate.ID, nil)
	if err != nil {
		return nil, err
	}
	return got{"id": made.ID, "status": made.Status, "method": made.PaymentMethod.ID,
		"mandate": mandate.Status}, nil
}

// all reads every page of a list, and shows each object.
func all[T any](list stripe.Seq2[T, error], show func(T) any) (any, error) {
	found := []any{}
	for each, err := range list {
		if err != nil {
			return nil, err
		}
		found = append(found, show(each))
	}
	return found, nil
}

func listed(api *stripe.Client, it asked) (any, error) {
	wish := &stripe.PaymentIntentListParams{Customer: it.Customer}
	wish.Limit = stripe.Int64(1)
	wish.AddExpand("data.latest_charge")
	return all(api.V1PaymentIntents.List(ctx, wish).All(ctx), func(each *stripe.PaymentIntent) any {
		return got{"id": each.ID, "charge": each.LatestCharge.ID}
	})
}

func search(api *stripe.Client, it asked) (any, error) {
	wish := &stripe.PaymentIntentSearchParams{}
	wish.Query, wish.Limit = it.Query, stripe.Int64(1)
	found := api.V1PaymentIntents.Search(ctx, wish).All(ctx)
	return all(found, func(each *stripe.PaymentIntent) any { return each.ID })
}

func disputes(api *stripe.Client, it asked) (any, error) {
	wish := &stripe.DisputeListParams{PaymentIntent: &it.Payment}
	return all(api.V1Disputes.List(ctx, wish).All(ctx), func(each *stripe.Dispute) any {
		return got{"id": each.ID, "status": each.Status, "amount": each.Amount}
	})
}

func evidence(api *stripe.Client, it asked) (any, error) {
	after, err := api.V1Disputes.Update(ctx, it.Dispute, &stripe.DisputeUpdateParams{
		Evidence: &stripe.DisputeUpdateEvidenceParams{UncategorizedText: it.Text, Receipt: it.Receipt},
	})
	if err != nil {
		return nil, err
	}
	return got{"status": after.Status, "receipt": after.Evidence.Receipt.ID}, nil
}

func balance(api *stripe.Client, _ asked) (any, error) {
	held, err := api.V1Balance.Retrieve(ctx, nil)
	if err != nil {
		return nil, err
	}
	said := got{}
	for _, each := range held.Available {
		said[string(each.Currency)] = each.Amount
	}
	return said, nil
}

func transactions(api *stripe.Client, _ asked) (any, error) {
	wish := &stripe.BalanceTransactionListParams{}
	wish.Limit = stripe.Int64(3)
	found := api.V1BalanceTransactions.List(ctx, wish).All(ctx)
	return all(found, func(each *stripe.BalanceTransaction) any {
		return got{"type": each.Type, "amount": each.Amount, "net": each.Net, "source": each.Source.ID}
	})
}

func configuration(api *stripe.Client, it asked) (any, error) {
	off := &stripe.PaymentMethodConfigurationCreateIDEALParams{
		DisplayPreference: &stripe.PaymentMethodConfigurationCreateIDEALDisplayPreferenceParams{
			Preference: stripe.String("off"),
		},
	}
	wish := &stripe.PaymentMethodConfigurationCreateParams{Name: it.Name, IDEAL: off}
	made, err := api.V1PaymentMethodConfigurations.Create(ctx, wish)
	if err != nil {
		return nil, err
	}
	listed := false
	for each, err := range api.V1PaymentMethodConfigurations.List(ctx, nil).All(ctx) {
		if err != nil {
			return nil, err
		}
		listed = listed || each.ID == made.ID
	}
	return got{"id": made.ID, "listed": listed, "card": made.Card.DisplayPreference.Value,
		"ideal": made.IDEAL.DisplayPreference.Value}, nil
}

func events(api *stripe.Client, it asked) (any, error) {
	wish := &stripe.EventListParams{Type: it.Type}
	wish.Limit = stripe.Int64(1)
	for each, err := range api.V1Events.List(ctx, wish).All(ctx) {
		if err != nil {
			return nil, err
		}
		found, err := api.V1Events.Retrieve(ctx, each.ID, nil)
		if err != nil {
			return nil, err
		}
		return got{"id": found.ID, "type": found.Type, "object": found.GetObjectValue("id")}, nil
	}
	return nil, fmt.Errorf("no event of type %s", *it.Type)
}

func endpoint(api *stripe.Client, it asked) (any, error) {
	wish := &stripe.WebhookEndpointCreateParams{URL: it.URL, EnabledEvents: it.Events}
	if it.Own {
		wish.APIVersion = stripe.String(stripe.APIVersion)
	}
	made, err := api.V1WebhookEndpoints.Create(ctx, wish)
	if err != nil {
		return nil, err
	}
	return got{"id": made.ID, "secret": made.Secret, "api_version": made.APIVersion}, nil
}

func judge(_ *stripe.Client, it asked) (any, error) {
	event, err := webhook.ConstructEvent([]byte(it.Body), it.Signature, it.Secret)
	if err != nil {
		return nil, err
	}
	var payment stripe.PaymentIntent
	if err := json.Unmarshal(event.Data.Raw, &payment); err != nil {
		return nil, err
	}
	return got{"type": event.Type, "id": payment.ID, "received": payment.AmountReceived}, nil
}

// status shows of an object what is asked for, or passes its error on.
func status[T any](object T, err error, show func(T) got) (any, error) {
	if err != nil {
		return nil, err
	}
	return show(object), nil
}

func do(api *stripe.Client, it asked) (any, error) {
	intents, clocks := api.V1PaymentIntents, api.V1TestHelpersTestClocks
	clock := func(t *stripe.TestHelpersTestClock) got {
		return got{"id": t.ID, "status": t.Status, "deleted": t.Deleted}
	}
	payout := func(p *stripe.Payout) got { return got{"id": p.ID, "status": p.Status} }
	switch it.Verb {
	case "version":
		return got{"api_version": stripe.APIVersion, "sdk": stripe.ClientVersion}, nil
	case "confirm":
		return brief(intents.Confirm(ctx, it.Payment,
			&stripe.PaymentIntentConfirmParams{PaymentMethod: it.Method}))
	case "increment":
		return brief(intents.IncrementAuthorization(ctx, it.Payment,
			&stripe.PaymentIntentIncrementAuthorizationParams{Amount: it.Amount}))
	case "capture":
		return brief(intents.Capture(ctx, it.Payment,
			&stripe.PaymentIntentCaptureParams{AmountToCapture: it.Amount, FinalCapture: it.Final}))
	case "cancel":
		return brief(intents.Cancel(ctx, it.Payment, nil))
	case "payment":
		wish := &stripe.PaymentIntentRetrieveParams{}
		if it.Secret != "" {
			wish.ClientSecret = &it.Secret
		}
		return brief(intents.Retrieve(ctx, it.Payment, wish))
	case "refund":
		made, err := api.V1Refunds.Create(ctx,
			&stripe.RefundCreateParams{PaymentIntent: &it.Payment, Amount: it.Amount})
		return status(made, err, func(r *stripe.Refund) got {
			return got{"id": r.ID, "status": r.Status, "amount": r.Amount}
		})
	case "customer":
		made, err := api.V1Customers.Create(ctx, &stripe.CustomerCreateParams{
			Name: it.Name, Email: it.Email, TestClock: it.TestClock})
		return status(made, err, func(c *stripe.Customer) got { return got{"id": c.ID} })
	case "dispute":
		found, err := api.V1Disputes.Retrieve(ctx, it.Dispute, nil)
		return status(found, err, func(d *stripe.Dispute) got { return got{"status": d.Status} })
	case "file":
		made, err := api.V1Files.Create(ctx, &stripe.FileCreateParams{
			Purpose:    stripe.String(stripe.FilePurposeDisputeEvidence),
			FileReader: bytes.NewReader(it.Content), Filename: stripe.String("receipt.pdf"),
		})
		return status(made, err, func(f *stripe.File) got {
			return got{"id": f.ID, "size": f.Size, "type": f.Type}
		})
	case "payout":
		made, err := api.V1Payouts.Create(ctx,
			&stripe.PayoutCreateParams{Amount: it.Amount, Currency: eur, Destination: it.Destination})
		return status(made, err, payout)
	case "payout_of":
		found, err := api.V1Payouts.Retrieve(ctx, it.Payout, nil)
		return status(found, err, payout)
	case "clock":
		made, err := clocks.Create(ctx, &stripe.TestHelpersTestClockCreateParams{FrozenTime: it.Frozen})
		return status(made, err, clock)
	case "advance":
		moved, err := clocks.Advance(ctx, it.Clock,
			&stripe.TestHelpersTestClockAdvanceParams{FrozenTime: it.To})
		return status(moved, err, clock)
	case "clock_of":
		found, err := clocks.Retrieve(ctx, it.Clock, nil)
		return status(found, err, clock)
	case "unclock":
		gone, err := clocks.Delete(ctx, it.Clock, nil)
		return status(gone, err, clock)
	case "unhook":
		gone, err := api.V1WebhookEndpoints.Delete(ctx, it.Endpoint, nil)
		return status(gone, err, func(e *stripe.WebhookEndpoint) got { return got{"deleted": e.Deleted} })
	}
	verbs := map[string]func(*stripe.Client, asked) (any, error){
		"pay": pay, "expanded": expanded, "setup": setup, "listed": listed, "search": search,
		"disputes": disputes, "evidence": evidence, "balance": balance, "transactions": transactions,
		"configuration": configuration, "events": events, "endpoint": endpoint, "judge": judge,
	}
	return verbs[it.Verb](api, it)
}

func failure(err error) got {
	var told *stripe.Error
	if errors.Is(err, webhook.ErrNoValidSignature) {
		return got{"class": "webhook.ErrNoValidSignature", "message": err.Error()}
	}
	if !errors.As(err, &told) {
		return got{"class": fmt.Sprintf("%T", err), "message": err.Error()}
	}
	return got{
		"class": fmt.Sprintf("%T", told.Err), "status": told.HTTPStatusCode, "code": told.Code,
		"decline_code": told.DeclineCode, "param": told.Param, "message": told.Msg,
		"request_id": told.RequestID,
	}
}

func connect(key, url string, retries *int64) *stripe.Client {
	config := &stripe.BackendConfig{
		URL: &url, MaxNetworkRetries: retries,
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	}
	return stripe.NewClient(key, stripe.WithBackends(&stripe.Backends{
		API:     stripe.GetBackendWithConfig(stripe.APIBackend, config),
		Uploads: stripe.GetBackendWithConfig(stripe.UploadsBackend, config),
	}))
}

func main() {
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	output := json.NewEncoder(os.Stdout)
	var here settings
	if err := input.Decode(&here); err != nil {
		panic(err)
	}
	for input.More() {
		it := asked{Key: "secret", BaseURL: here.BaseURL, Retries: stripe.Int64(2)}
		if err := input.Decode(&it); err != nil {
			panic(err)
		}
		said := got{}
		found, err := do(connect(here.Keys[it.Key], it.BaseURL, it.Retries), it)
		if err != nil {
			said["error"] = failure(err)
		} else {
			said["got"] = found
		}
		if err := output.Encode(said); err != nil {
			panic(err)
		}
	}
}
