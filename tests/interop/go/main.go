// Judges a webhook with the stock Go SDK: one request on standard input, one answer on standard output.
package main

import (
	"encoding/json"
	"os"

	stripe "github.com/stripe/stripe-go/v85"
	"github.com/stripe/stripe-go/v85/webhook"
)

type asked struct {
	Body      string `json:"body"`
	Signature string `json:"signature"`
	Secret    string `json:"secret"`
}

type found struct {
	APIVersion string `json:"api_version"`
	Error      string `json:"error,omitempty"`
	Type       string `json:"type,omitempty"`
	ID         string `json:"id,omitempty"`
	Amount     int64  `json:"amount,omitempty"`
}

func main() {
	var request asked
	if err := json.NewDecoder(os.Stdin).Decode(&request); err != nil {
		panic(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(judge(request)); err != nil {
		panic(err)
	}
}

func judge(request asked) found {
	said := found{APIVersion: stripe.APIVersion}
	if request.Body == "" {
		return said
	}
	event, err := webhook.ConstructEvent([]byte(request.Body), request.Signature, request.Secret)
	if err != nil {
		said.Error = err.Error()
		return said
	}
	var payment stripe.PaymentIntent
	if err := json.Unmarshal(event.Data.Raw, &payment); err != nil {
		said.Error = err.Error()
		return said
	}
	said.Type, said.ID, said.Amount = string(event.Type), payment.ID, payment.AmountReceived
	return said
}
